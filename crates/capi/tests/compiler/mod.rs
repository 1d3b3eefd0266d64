//! The C and C++ compilers of this machine.
#![allow(dead_code, reason = "every test uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::Command;

pub struct Compiler {
    command: String,
}

impl Compiler {
    /// `CC`, else `cc`: what rustc links with. `None`, and a line that says so, when there is none.
    pub fn c() -> Option<Self> {
        let found = Self::find("CC", "cc");
        if found.is_none() {
            joulebook_testkit::print_skipped("no C compiler");
        }
        found
    }

    pub fn cpp() -> Option<Self> {
        Self::find("CXX", "c++")
    }

    fn find(variable: &str, default: &str) -> Option<Self> {
        let command = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
        let version = Command::new(&command).arg("--version").output();
        version.is_ok_and(|output| output.status.success()).then_some(Self { command })
    }

    /// Every warning is an error.
    pub fn run(&self, arguments: &[&str]) {
        let mut command = Command::new(&self.command);
        command.args(["-Wall", "-Wextra", "-Werror", "-pedantic"]).args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Builds a program from C sources and runs it; returns what it said.
    pub fn build_and_run(&self, sources: &[PathBuf], folder: &Path, link: Link) -> String {
        let program = folder.join("program");
        let libraries = libraries();
        let include = format!("-I{}", Path::new(env!("CARGO_MANIFEST_DIR")).join("include").display());
        let mut arguments: Vec<String> =
            ["-std=c99", "-g", &include, "-o", program.to_str().unwrap()].map(str::to_owned).to_vec();
        arguments.extend(sources.iter().map(|source| source.display().to_string()));
        match link {
            Link::Shared => arguments.extend([
                format!("-L{}", libraries.display()),
                "-ljoulebook_capi".to_owned(),
                format!("-Wl,-rpath,{}", libraries.display()),
            ]),
            Link::Static => {
                arguments.push(libraries.join("libjoulebook_capi.a").display().to_string());
                arguments.extend(["-lpthread", "-ldl", "-lm"].map(str::to_owned));
            }
        }
        self.run(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let output = Command::new(&program).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "{:?}\n{said}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        said
    }
}

/// How a program gets the library.
#[derive(Clone, Copy)]
pub enum Link {
    Shared,
    Static,
}

/// Where cargo put the libraries that this test was built with: beside the test itself.
fn libraries() -> PathBuf {
    std::env::current_exe().unwrap().parent().unwrap().to_owned()
}
