//! Reads what callgrind writes: the instructions of each function by itself.

use std::collections::BTreeMap;

/// Instructions of each function, those of what it calls left out.
pub fn functions(text: &str) -> BTreeMap<String, u64> {
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut current, mut is_call) = ("", false);
    for line in text.lines() {
        if let Some(function) = line.strip_prefix("fn=").or_else(|| line.strip_prefix("cfn=")) {
            // A name stands behind its number once; later the number is enough.
            let (number, name) = function.split_once(' ').unwrap_or((function, ""));
            if !name.is_empty() {
                names.insert(number, name);
            }
            if line.starts_with("fn=") {
                current = number;
            }
        } else if line.starts_with("calls=") {
            is_call = true;
        } else if line.starts_with(|first: char| first.is_ascii_digit() || "+-*".contains(first)) {
            let cost = line.split(' ').nth(1).and_then(|cost| cost.parse::<u64>().ok());
            // Behind `calls=` stands what the callee cost, which is counted where it is the current function.
            if !std::mem::take(&mut is_call) {
                *sums.entry(current).or_default() += cost.unwrap_or_default();
            }
        }
    }
    let mut functions = BTreeMap::new();
    for (number, sum) in sums {
        let name = names.get(number).copied().unwrap_or(number);
        *functions.entry(plain(name)).or_default() += sum;
    }
    functions.retain(|_, sum| *sum > 0);
    functions
}

/// Without the hash that the compiler appends, and without callgrind's mark of recursion: both may change with nothing.
fn plain(name: &str) -> String {
    let name = name.split('\'').next().unwrap_or(name);
    match name.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            path.to_owned()
        }
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_has_what_it_does_itself() {
        let text = "events: Ir\n\
            fn=(1) book::add::h0123456789abcdef\n10 5\n+1 7\n\
            cfi=(2)\ncfn=(2) book::rest\ncalls=3 20\n+1 900\n-1 1\n\
            fn=(2)\n20 300\n* 2\n\
            fn=(1)\n12 4\n\
            fn=(3) book::rest'2\n1 10\n\
            totals: 329\n";
        let functions = functions(text);
        let want = [("book::add", 17), ("book::rest", 312)];
        assert_eq!(functions, want.map(|(name, sum)| (name.to_owned(), sum)).into_iter().collect());
    }
}
