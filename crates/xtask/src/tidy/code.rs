//! Splits Rust text into code and comments, so that a word in a sentence breaks no rule about code.

/// Two texts of the same shape as the source: same lines, same columns, blanks for what belongs to the other.
/// What stands inside string and character literals is in neither.
pub struct Parts {
    pub code: String,
    pub comments: String,
}

impl Parts {
    pub fn of(source: &str) -> Self {
        let chars: Vec<char> = source.chars().collect();
        let mut splitter = Splitter { chars: &chars, at: 0, code: String::new(), comments: String::new() };
        splitter.run();
        Self { code: splitter.code, comments: splitter.comments }
    }

    /// The part of the code that only tests compile: from the first `#[cfg(test)]` module to the end, since tests
    /// come last in a file. Everything before is blank.
    pub fn test_code(&self) -> String {
        let lines: Vec<&str> = self.code.lines().collect();
        let start =
            (0..lines.len()).find(|index| starts_test_module(&lines[*index..])).unwrap_or(lines.len());
        let blank = |(index, line): (usize, &&str)| if index < start { "" } else { line }.to_owned() + "\n";
        lines.iter().enumerate().map(blank).collect()
    }
}

/// Whether `word` stands in `text` on its own: `rand` is in `rand::random` and not in `operand`.
pub fn has_word(text: &str, word: &str) -> bool {
    let is_ident = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(start, _)| {
        let free_before = !word.starts_with(is_ident) || !text[..start].ends_with(is_ident);
        let free_after = !word.ends_with(is_ident) || !text[start + word.len()..].starts_with(is_ident);
        free_before && free_after
    })
}

fn starts_test_module(lines: &[&str]) -> bool {
    lines[0].trim() == "#[cfg(test)]"
        && lines[1..]
            .iter()
            .find(|line| !line.trim().starts_with("#["))
            .is_some_and(|line| has_word(line, "mod") && line.contains('{'))
}

struct Splitter<'a> {
    chars: &'a [char],
    at: usize,
    code: String,
    comments: String,
}

impl Splitter<'_> {
    fn run(&mut self) {
        while let Some(current) = self.peek(0) {
            match (current, self.peek(1)) {
                ('/', Some('/')) => self.line_comment(),
                ('/', Some('*')) => self.block_comment(),
                ('"', _) => self.string(),
                ('r', Some('"' | '#')) if !self.inside_a_name() && self.raw_hashes().is_some() => {
                    self.raw_string()
                }
                ('\'', _) if self.is_char_literal() => self.char_literal(),
                _ => self.take_code(),
            }
        }
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn take_code(&mut self) {
        self.take(true, false);
    }

    fn take_blank(&mut self) {
        self.take(false, false);
    }

    /// Moves on by one character. Line breaks go everywhere, so that lines keep their numbers.
    fn take(&mut self, to_code: bool, to_comments: bool) {
        let Some(current) = self.peek(0) else { return };
        let or_blank = |wanted| if wanted || current == '\n' { current } else { ' ' };
        self.code.push(or_blank(to_code));
        self.comments.push(or_blank(to_comments));
        self.at += 1;
    }

    fn line_comment(&mut self) {
        while self.peek(0).is_some_and(|current| current != '\n') {
            self.take(false, true);
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => depth += 1,
                (Some('*'), Some('/')) => depth -= 1,
                (None, _) => return,
                _ => {
                    self.take(false, true);
                    continue;
                }
            }
            self.take(false, true);
            self.take(false, true);
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.take_code();
        while let Some(current) = self.peek(0) {
            match current {
                '\\' => {
                    self.take_blank();
                    self.take_blank();
                }
                '"' => return self.take_code(),
                _ => self.take_blank(),
            }
        }
    }

    /// `br"…"` and `cr"…"` begin with one letter that belongs to the literal.
    fn inside_a_name(&self) -> bool {
        let is_ident = |index: usize| self.chars.get(index).is_some_and(|c| c.is_alphanumeric() || *c == '_');
        let Some(before) = self.at.checked_sub(1) else { return false };
        let is_prefix = matches!(self.chars[before], 'b' | 'c') && (before == 0 || !is_ident(before - 1));
        is_ident(before) && !is_prefix
    }

    /// How many `#` follow the `r`, when a quote comes after them; `r#name` is not a string.
    fn raw_hashes(&self) -> Option<usize> {
        let hashes = self.chars[self.at + 1..].iter().take_while(|c| **c == '#').count();
        (self.peek(1 + hashes) == Some('"')).then_some(hashes)
    }

    fn raw_string(&mut self) {
        let Some(hashes) = self.raw_hashes() else { return self.take_code() };
        (0..hashes + 2).for_each(|_| self.take_code());
        while let Some(current) = self.peek(0) {
            if current == '"' && (1..=hashes).all(|ahead| self.peek(ahead) == Some('#')) {
                return (0..=hashes).for_each(|_| self.take_code());
            }
            self.take_blank();
        }
    }

    /// A lifetime has no closing quote two characters on.
    fn is_char_literal(&self) -> bool {
        self.peek(1) == Some('\\') || self.peek(2) == Some('\'')
    }

    fn char_literal(&mut self) {
        self.take_code();
        while let Some(current) = self.peek(0) {
            match current {
                '\\' => {
                    self.take_blank();
                    self.take_blank();
                }
                '\'' => return self.take_code(),
                _ => self.take_blank(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_not_code() {
        let cases = [
            ("let a = 1; // hidden", "let a = 1;"),
            ("/* hidden /* nested */ hidden */ let a = 1;", "let a = 1;"),
            (r#"print("hidden \" hidden"); a"#, r#"print(""); a"#),
            (r##"print(r#"hidden " hidden"#); a"##, r###"print(r#""#); a"###),
            (r#"print(br"hidden\"); a"#, r#"print(br""); a"#),
            ("match c { '\"' => a, '\\'' => b }", "match c { '' => a, '' => b }"),
            ("fn f<'a>(r#type: &'a str) {}", "fn f<'a>(r#type: &'a str) {}"),
            ("for r in 0..1 { attr\"x\" }", "for r in 0..1 { attr\"\" }"),
        ];
        for (source, want) in cases {
            let squeezed = |text: &str| text.replace(' ', "");
            assert_eq!(squeezed(&Parts::of(source).code), squeezed(want), "{source}");
        }
    }

    #[test]
    fn lines_and_columns_stay() {
        let source = "a // b\n\"c\nd\" e /* f\ng */ h";
        let parts = Parts::of(source);
        let lengths = |text: &str| text.lines().map(|line| line.chars().count()).collect::<Vec<_>>();
        assert_eq!(lengths(&parts.code), lengths(source));
        assert_eq!(lengths(&parts.comments), lengths(source));
        assert!(has_word(&parts.comments, "b") && has_word(&parts.comments, "g"));
        assert!(!has_word(&parts.comments, "a") && !has_word(&parts.comments, "c"));
    }

    #[test]
    fn test_code_starts_at_the_test_module() {
        let parts = Parts::of("fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() {}\n}\n");
        assert!(!parts.test_code().contains("fn a"));
        assert!(parts.test_code().lines().nth(3).is_some_and(|line| line.contains("fn b")));
        let helper = Parts::of("#[cfg(test)]\npub fn helper() {}\nfn a() {}\n");
        assert!(!helper.test_code().contains("fn a"));
    }

    #[test]
    fn a_word_stands_on_its_own() {
        assert!(has_word("use rand::random", "rand::"));
        assert!(!has_word("operand::new", "rand::"));
        assert!(!has_word("unsafe_code", "unsafe"));
        assert!(has_word("{unsafe{", "unsafe"));
    }
}
