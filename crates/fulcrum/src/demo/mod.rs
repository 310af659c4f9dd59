//! `fulcrum demo`: the real daemon in front of three backends, on this machine, until Ctrl-C.
//!
//! ```text
//!   demo ─┬─► fulcrum demo-backend  blue, green, amber     on ports of the kernel's choice
//!         ├─► fulcrum run -c demo.yaml                      with those ports in its environment
//!         ├─► fulcrum demo-backend  ruby, teal             which register themselves
//!         └─► tour: prints ten things to try; with --for, tries them itself, twice
//! ```
//!
//! All of them are child processes that end with this one, even when it is killed. A backend that ends before is started
//! again: killing one is a part of the tour.

mod backend;
mod chapters;
mod child;
mod commands;
mod dig;
mod folder;
mod load;
mod stops;
mod tour;

use std::io;
use std::net::{TcpListener, UdpSocket};
use std::process::ExitStatus;
use std::time::Duration;

use self::backend::Backend;
use self::child::{Child, ChildError};
use self::folder::DemoFolder;
use self::tour::Tour;
use crate::cli::DemoOptions;
use crate::exit::Exit;
use crate::output;
use crate::signals::Signals;

/// Runs the demo.
pub(crate) fn demo(options: &DemoOptions) -> Exit {
    // The children's parent-death signal follows the thread that started them, so this is the main thread.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let shown = runtime.map_err(DemoError::from).and_then(|runtime| runtime.block_on(show(options.duration)));
    match shown {
        Ok(()) => Exit::Done,
        Err(error) => {
            output::error_line(format_args!("error: demo: {error}"));
            Exit::Failed
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Child(#[from] ChildError),
    #[error("{name} has ended by itself: {status}")]
    Ended { name: &'static str, status: ExitStatus },
    #[error("{0}")]
    Tour(#[from] tour::TourError),
}

async fn show(duration: Option<Duration>) -> Result<(), DemoError> {
    // From here on signals wait until somebody asks for them, so that nothing is left behind half started.
    let mut signals = Signals::new()?;
    let folder = DemoFolder::create()?;
    let mut cast = Cast::start(&folder).await?;
    let outcome = perform(&mut cast, &folder, &mut signals, duration).await;
    cast.end().await;
    outcome
}

async fn perform(
    cast: &mut Cast,
    folder: &DemoFolder,
    signals: &mut Signals,
    duration: Option<Duration>,
) -> Result<(), DemoError> {
    let tour = Tour::new(cast.daemon.ready(), folder)?;
    output::text(&tour.print());
    tokio::select! {
        seen = guide(&tour, duration) => seen,
        _ = signals.next() => Ok(()),
        error = cast.keep() => Err(error),
    }
}

/// Lets visitors try what there is, or tries it at the start and at the end of the time.
async fn guide(tour: &Tour<'_>, duration: Option<Duration>) -> Result<(), DemoError> {
    let Some(duration) = duration else {
        output::line("\nCtrl-C ends all of it.");
        return std::future::pending().await;
    };
    tour.take("at the start").await?;
    tokio::time::sleep(duration).await;
    Ok(tour.take("at the end").await?)
}

/// Every child process.
struct Cast {
    daemon: Child,
    backends: [Backend; 3],
    /// They come when there is a registry.
    registered: [Backend; 2],
}

impl Cast {
    async fn start(folder: &DemoFolder) -> Result<Self, DemoError> {
        let mut environment = vec![
            ("FULCRUM_DEMO_WEB".to_owned(), free_or_any("FULCRUM_DEMO_WEB", WEB)),
            ("FULCRUM_DEMO_ADMIN".to_owned(), free_or_any("FULCRUM_DEMO_ADMIN", ADMIN)),
            ("FULCRUM_DEMO_REGISTRY".to_owned(), free_or_any("FULCRUM_DEMO_REGISTRY", REGISTRY)),
            ("FULCRUM_DEMO_DNS".to_owned(), free_or_any("FULCRUM_DEMO_DNS", DNS)),
            ("FULCRUM_DEMO_NAMES".to_owned(), free_or_any("FULCRUM_DEMO_NAMES", NAMES)),
            ("FULCRUM_DEMO_NETS".to_owned(), folder.nets().display().to_string()),
            ("FULCRUM_DEMO_SOCKET".to_owned(), folder.socket().display().to_string()),
            ("FULCRUM_DEMO_STATE".to_owned(), folder.state().display().to_string()),
            ("FULCRUM_DEMO_ACCESS_LOG".to_owned(), folder.access_log().display().to_string()),
        ];
        if std::env::var_os("FULCRUM_LOG").is_none() {
            environment.push(("FULCRUM_LOG".to_owned(), "warn".to_owned()));
        }
        let backends = [
            Backend::start("blue", folder).await?,
            Backend::start("green", folder).await?,
            Backend::start("amber", folder).await?,
        ];
        environment.extend(backends.iter().map(Backend::variable));
        let config = folder.config().display().to_string();
        let daemon = Child::start("the daemon", &["run", "--config", &config], &environment).await?;
        let registry = daemon.ready()["registry"][0].as_str().unwrap_or(REGISTRY);
        let registry = format!("http://{registry}");
        let registered = [
            Backend::start_registered("ruby", folder, "crew", &registry).await?,
            Backend::start_registered("teal", folder, "crew", &registry).await?,
        ];
        Ok(Cast { daemon, backends, registered })
    }

    /// Brings back what may be killed. The error is that of a start, or the end of the daemon.
    async fn keep(&mut self) -> DemoError {
        let Cast { daemon, backends: [blue, green, amber], registered: [ruby, teal] } = self;
        tokio::select! {
            ended = daemon.ended() => match ended {
                Ok(status) => DemoError::Ended { name: daemon.name(), status },
                Err(error) => error.into(),
            },
            error = blue.keep() => error,
            error = green.keep() => error,
            error = amber.keep() => error,
            error = ruby.keep() => error,
            error = teal.keep() => error,
        }
    }

    /// The daemon first: it may still be finishing requests. Then all backends at once: those that want to leave the registry,
    /// which is gone, try for some seconds.
    async fn end(self) {
        let Cast { daemon, backends: [blue, green, amber], registered: [ruby, teal] } = self;
        daemon.end().await;
        tokio::join!(blue.end(), green.end(), amber.end(), ruby.end(), teal.end());
    }
}

/// The usual address if nobody has it, else any free one.
fn free_or_any(variable: &str, usual: &str) -> String {
    if let Ok(wanted) = std::env::var(variable) {
        return wanted;
    }
    // DNS is asked over UDP, too.
    if TcpListener::bind(usual).is_ok() && UdpSocket::bind(usual).is_ok() {
        return usual.to_owned();
    }
    output::line(format_args!("{usual} is taken, so another port is used."));
    "127.0.0.1:0".to_owned()
}

/// As in config/demo.yaml.
const WEB: &str = "127.0.0.1:8080";

/// As in config/demo.yaml.
const ADMIN: &str = "127.0.0.1:9901";

/// As in config/demo.yaml.
const REGISTRY: &str = "127.0.0.1:8500";

/// As in config/demo.yaml. The usual port is not for everybody to bind.
const DNS: &str = "127.0.0.1:5300";

/// As in config/demo.yaml.
const NAMES: &str = "127.0.0.1:8600";
