//! What happens where nothing can be written to standard output or standard error.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::common::{SMALL, quickstart_files};

/// The binary with these streams; what goes to a pipe of the test's own is in the output.
fn with(directory: &Path, arguments: &[&str], out: Stdio, error: Stdio) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pimscope"));
    command.current_dir(directory).args(arguments).env_clear().env("LANG", "C.UTF-8").env("NO_COLOR", "1");
    command.stdout(out).stderr(error).spawn().unwrap().wait_with_output().unwrap()
}

/// A device that takes nothing: the disk is full.
fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// A pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[cfg(target_os = "linux")]
#[test]
fn is_it_an_error_that_the_output_cannot_be_written() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("small.toml"), SMALL).unwrap();
    let finished = quickstart_files().to_str().unwrap();
    for arguments in [
        &["list", "gpus"][..],
        &["schema"],
        &["completions", "bash"],
        &["trace", finished],
        &["run", "small.toml"],
        &["validate", "--suite", "kv-costs"],
        &["--help"],
        &["--version"],
    ] {
        let output = with(directory.path(), arguments, full(), Stdio::piped());
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {error}");
        assert!(error.contains("cannot write to standard output: "), "{arguments:?}: {error}");
        assert_eq!(error.trim().lines().count(), 1, "{arguments:?}: {error}");
        // That nobody reads on is no error.
        let output = with(directory.path(), arguments, closed(), Stdio::piped());
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}: {output:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn does_the_exit_code_stay_where_messages_cannot_be_written() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("small.toml"), SMALL).unwrap();
    for (arguments, code) in [
        (&["run", "nope.toml"][..], 2),
        (&["validate", "--suite", "nope"], 2),
        (&["run"], 2),
        (&["run", "small.toml", "--until", "1 us"], 0),
        (&["run", "small.toml", "--until", "1 us", "--trace-commands", "--threads", "2"], 0),
    ] {
        for error in [full(), closed()] {
            let output = with(directory.path(), arguments, Stdio::piped(), error);
            assert_eq!(output.status.code(), Some(code), "{arguments:?}: {output:?}");
        }
    }
    // Neither of the two.
    assert_eq!(with(directory.path(), &["list", "gpus"], full(), full()).status.code(), Some(1));
}
