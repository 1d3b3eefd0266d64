//! A line of a script, word by word.

use core::fmt::Display;
use core::str::FromStr;

use joulebook_types::{OrderId, Price, TimeNs};

use super::names::parse_time;

/// The words of a line that are still to be read. Commas are for people; a semicolon is a word of its own.
#[derive(Debug)]
pub(super) struct Words {
    words: Vec<String>,
    at: usize,
}

/// What is wrong with a line, in a sentence that goes on from its place.
pub(super) type Parsed<T> = Result<T, String>;

impl Words {
    pub(super) fn of(text: &str) -> Self {
        let spaced = text.replace(';', " ; ").replace(',', " ");
        let words = spaced.split_whitespace().map(|word| {
            // `batch:` reads as `batch`, and `13:30` stays a time.
            if word.len() > 1 { word.trim_end_matches(':').to_owned() } else { word.to_owned() }
        });
        Self { words: words.collect(), at: 0 }
    }

    pub(super) fn peek(&self) -> Option<&str> {
        self.words.get(self.at).map(String::as_str)
    }

    /// Whether `word` comes next; then it is read.
    pub(super) fn take(&mut self, word: &str) -> bool {
        let next = self.peek() == Some(word);
        self.at += usize::from(next);
        next
    }

    /// The same for several words in a row.
    pub(super) fn take_all(&mut self, words: &str) -> bool {
        let wanted: Vec<&str> = words.split(' ').collect();
        let rest = &self.words[self.at..];
        let next =
            rest.len() >= wanted.len() && rest.iter().zip(&wanted).all(|(word, wanted)| word == wanted);
        self.at += if next { wanted.len() } else { 0 };
        next
    }

    pub(super) fn expect(&mut self, word: &str) -> Parsed<()> {
        if self.take(word) { Ok(()) } else { Err(format!("expected '{word}'{}", self.found())) }
    }

    pub(super) fn next(&mut self, what: &str) -> Parsed<&str> {
        if self.at == self.words.len() {
            return Err(format!("expected {what} at the end"));
        }
        self.at += 1;
        Ok(&self.words[self.at - 1])
    }

    /// The next word as a value.
    pub(super) fn parse<T: FromStr>(&mut self, what: &str) -> Parsed<T>
    where
        T::Err: Display,
    {
        let word = self.next(what)?;
        word.parse().map_err(|error| format!("'{word}' is not {what}: {error}"))
    }

    pub(super) fn count(&mut self, what: &str) -> Parsed<u32> {
        self.parse(what)
    }

    pub(super) fn price(&mut self) -> Parsed<Price> {
        self.parse("a price")
    }

    /// An amount, with or without its unit.
    pub(super) fn amount<T: FromStr>(&mut self) -> Parsed<T>
    where
        T::Err: Display,
    {
        let amount = self.parse("an amount")?;
        self.take("EC");
        Ok(amount)
    }

    /// `5 s`, `500 ms` or `2 min`, in milliseconds.
    pub(super) fn duration_ms(&mut self) -> Parsed<u32> {
        let count = self.count("a duration")?;
        let unit = self.next("'ms', 's' or 'min'")?;
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "min" => 60_000,
            other => return Err(format!("'{other}' is not 'ms', 's' or 'min'")),
        };
        count.checked_mul(unit_ms).ok_or_else(|| "the duration is too long".to_owned())
    }

    /// `13:30` or `13:30:05.250` of the scripts' day.
    pub(super) fn time(&mut self) -> Parsed<TimeNs> {
        let word = self.next("a time")?;
        parse_time(word).ok_or_else(|| format!("'{word}' is not a time such as 13:30 or 13:30:05"))
    }

    /// `#3`.
    pub(super) fn order_id(&mut self) -> Parsed<OrderId> {
        let word = self.next("an order such as #3")?;
        let number = word.strip_prefix('#').and_then(|number| number.parse().ok());
        number.map(OrderId::new).ok_or_else(|| format!("'{word}' is not an order such as #3"))
    }

    /// Everything has been read.
    pub(super) fn finish(&self) -> Parsed<()> {
        if self.at == self.words.len() {
            Ok(())
        } else {
            Err(format!("nothing more was expected{}", self.found()))
        }
    }

    fn found(&self) -> String {
        self.peek().map_or(" at the end".to_owned(), |word| format!(", found '{word}'"))
    }
}
