//! The listeners of a generation and their addresses: those that stay are kept, new ones are bound.

use std::collections::HashMap;
use std::sync::Arc;

use fulcrum_config::Config;
use fulcrum_model::ListenerName;

use super::{Cause, Control};
use crate::listener::{self, BindId, BindKey, Bound, Listener, ListenerState};

/// The listeners of a generation and their addresses.
pub(super) struct Doors {
    pub(super) listeners: Vec<Arc<Listener>>,
    pub(super) states: HashMap<ListenerName, Arc<ListenerState>>,
    pub(super) binds: HashMap<BindId, usize>,
    /// Newly bound.
    pub(super) bound: Vec<Bound>,
}

impl Doors {
    pub(super) fn prepare(
        config: &Config,
        control: &Control,
        workers: usize,
        causes: &mut Vec<Cause>,
    ) -> Self {
        let open: HashMap<&BindKey, BindId> =
            control.bound.iter().map(|bound| (&bound.key, bound.id)).collect();
        let mut doors =
            Doors { listeners: Vec::new(), states: HashMap::new(), binds: HashMap::new(), bound: Vec::new() };
        for (place, configured) in config.listeners.iter().enumerate() {
            let state = match control.listeners.get(&configured.name) {
                Some(state) => Arc::clone(state),
                None => Arc::new(ListenerState::new(&configured.name)),
            };
            doors.listeners.push(Arc::new(Listener::new(configured, &state)));
            doors.states.insert(configured.name.clone(), state);
            for key in BindKey::all(configured) {
                if let Some(&id) = open.get(&key) {
                    doors.binds.insert(id, place);
                    continue;
                }
                match listener::bind(&configured.name, key, workers) {
                    Ok(bound) => {
                        doors.binds.insert(bound.id, place);
                        doors.bound.push(bound);
                    }
                    Err(error) => causes.push(error.into()),
                }
            }
        }
        doors
    }
}
