//! The corpus: a folder of inputs for each target.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::{Target, Traits};

/// The inputs of a target with their file names, in the order of names.
pub fn read(corpus: &Path, target: &Target) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(corpus.join(target.name))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        inputs.push((name, fs::read(path)?));
    }
    inputs.sort();
    Ok(inputs)
}

/// Puts an input into the corpus under a name that its content decides.
pub fn add(corpus: &Path, target: &Target, prefix: &str, input: &[u8]) -> io::Result<PathBuf> {
    let hash = blake3::hash(input).to_hex();
    write(corpus, target, &format!("{prefix}-{}", &hash[..12]), input)
}

/// Puts an input into the corpus.
pub fn write(corpus: &Path, target: &Target, name: &str, input: &[u8]) -> io::Result<PathBuf> {
    let folder = corpus.join(target.name);
    fs::create_dir_all(&folder)?;
    let path = folder.join(name);
    fs::write(&path, input)?;
    Ok(path)
}

/// Of `inputs` as few and as short ones as show what none of `known` shows.
pub fn smallest<'a>(target: &Target, known: &[Vec<u8>], inputs: &'a [Vec<u8>]) -> Vec<&'a [u8]> {
    let mut traits = Traits::default();
    let mut facts: BTreeSet<u64> = BTreeSet::new();
    for input in known {
        target.check(input, &mut traits);
        facts.extend(traits.facts());
    }
    let mut by_length: Vec<&Vec<u8>> = inputs.iter().collect();
    by_length.sort_by_key(|input| input.len());
    let mut kept = Vec::new();
    for input in by_length {
        target.check(input, &mut traits);
        let before = facts.len();
        facts.extend(traits.facts());
        if facts.len() > before {
            kept.push(input.as_slice());
        }
    }
    kept
}
