//! `joulebook config`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use joulebook_server::config::{Config, DEFAULT_FILE};

use crate::Failure;

#[derive(Args)]
pub struct ConfigArgs {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Print the default configuration with comments: `joulebook config default > joulebook.toml`.
    Default,
    /// Check a configuration file together with the environment.
    Check { file: PathBuf },
}

pub fn run(args: ConfigArgs) -> Result<(), Failure> {
    match args.command {
        ConfigCommand::Default => print!("{DEFAULT_FILE}"),
        ConfigCommand::Check { file } => {
            Config::load(Some(&file), &Config::environment(std::env::vars()))?;
            println!("{}: ok", file.display());
        }
    }
    Ok(())
}
