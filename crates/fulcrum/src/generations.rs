//! Tells others what each configuration in force asks of them.

use std::sync::Arc;
use std::time::Duration;

use fulcrum_data_plane::DataPlane;
use tokio::time::interval;

/// Asks the data plane once for each generation, for ever.
pub(crate) async fn follow<T: Send + 'static>(
    data_plane: Arc<DataPlane>,
    ask: fn(&DataPlane) -> T,
    tell: impl Fn(T),
) {
    let mut looks = interval(LOOK);
    let mut followed = None;
    loop {
        looks.tick().await;
        let generation = data_plane.generation();
        if followed.replace(generation) != Some(generation) {
            let asked = Arc::clone(&data_plane);
            // It waits for a reload that is being prepared.
            let Ok(answer) = tokio::task::spawn_blocking(move || ask(&asked)).await else { continue };
            tell(answer);
        }
    }
}

/// How soon a new generation is looked at.
const LOOK: Duration = Duration::from_millis(100);
