//! Writes `joulebook.h` from the message table, the reasons and the exported functions.

use std::fmt::Write;

use joulebook_protocol::messages::*;
use joulebook_protocol::{
    CancelReason, CloseReason, FieldInfo, MessageInfo, Primitive, RejectReason, RequestStatus, TABLE,
};
use joulebook_types::{OrderType, Phase, Role, SelfTradeMode, Side, SlotHint, TimeInForce, Trigger};

use crate::declare::{FunctionInfo, StructInfo, message_type, snake_case};
use crate::{ABI_VERSION, Status, ffi, house, queries, structs};

const INTRODUCTION: &str = include_str!("introduction.txt");

/// The whole header.
pub fn header() -> String {
    let mut header = Header { out: String::new() };
    header.top();
    header.constants();
    header.messages();
    header.structs();
    header.functions();
    header.bottom();
    header.out
}

/// The names of all exported functions, in the order of the header.
pub fn function_names() -> Vec<&'static str> {
    ffi::groups().into_iter().flat_map(|(_, functions)| functions).map(|function| function.name).collect()
}

struct Header {
    out: String,
}

impl Header {
    fn line(&mut self, text: impl AsRef<str>) {
        self.out.push_str(text.as_ref());
        self.out.push('\n');
    }

    fn format(&mut self, text: core::fmt::Arguments<'_>) {
        self.out.write_fmt(text).expect("a string takes everything");
        self.out.push('\n');
    }

    fn top(&mut self) {
        self.line("/*");
        for line in INTRODUCTION.lines() {
            self.line(format!(" * {line}").trim_end());
        }
        self.line(
            " */\n#ifndef JOULEBOOK_H\n#define JOULEBOOK_H\n\n#include <stddef.h>\n#include <stdint.h>\n",
        );
        self.line("#if defined(__cplusplus) && __cplusplus >= 201103L");
        self.line("#define JB_STATIC_ASSERT(name, condition) static_assert(condition, #name)");
        self.line("#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L");
        self.line("#define JB_STATIC_ASSERT(name, condition) _Static_assert(condition, #name)");
        self.line("#else");
        self.line(
            "#define JB_STATIC_ASSERT(name, condition) typedef char jb_assert_##name[(condition) ? 1 : -1]",
        );
        self.line("#endif\n\n#ifdef __cplusplus\nextern \"C\" {\n#endif");
    }

    fn constants(&mut self) {
        self.heading("Constants");
        self.format(format_args!("#define JB_ABI_VERSION {ABI_VERSION}u"));
        let house = [("OPERATOR", house::OPERATOR), ("ISSUER", house::ISSUER), ("METER", house::METER)];
        self.comment("", "Accounts that jb_create opens: send their commands from them.");
        for (name, account) in house {
            self.format(format_args!("#define JB_{name} {account}u"));
        }
        self.comment("", "The session that is meant where none is named.");
        self.format(format_args!("#define JB_SESSION {}u", house::SESSION));
        self.comment("", "\"I do not know the slot\": the engine looks the order up by its id.");
        self.format(format_args!("#define JB_SLOT_UNKNOWN {}u", SlotHint::UNKNOWN.raw()));
        self.comment("", "Orders stay for good when their session closes.");
        self.format(format_args!("#define JB_KEEP_ORDERS {}u", u32::MAX));
        self.comment("", "One energy credit in micro-EC, the unit of all amounts.");
        self.line("#define JB_EC INT64_C(1000000)\n");
        self.comment("", "What calls return: zero or an error.");
        self.line("typedef int32_t jb_status;");
        self.explained(
            "",
            Status::ALL.iter().map(|s| (s.c_name().to_owned(), s.raw().into(), s.explanation())),
        );
        self.choices();
        self.reasons();
        self.line("");
        self.comment("", "Which message a struct is.");
        let ids = carried().map(|info| (format!("JB_MSG_{}", upper(info.name)), info.template_id.into(), ""));
        self.explained("", ids);
    }

    fn choices(&mut self) {
        self.named("Sides.", "", Side::ALL.iter().map(|c| (c.name(), c.raw())));
        self.named("How long an order works.", "TIF_", TimeInForce::ALL.iter().map(|c| (c.name(), c.raw())));
        self.named("Order types.", "ORDER_TYPE_", OrderType::ALL.iter().map(|c| (c.name(), c.raw())));
        self.named("What an order waits for.", "TRIGGER_", Trigger::ALL.iter().map(|c| (c.name(), c.raw())));
        let modes = SelfTradeMode::ALL.iter().map(|c| (c.name(), c.raw()));
        self.named("What happens when an order meets its own group.", "SELF_TRADE_", modes);
        self.named("Phases of an instrument.", "PHASE_", Phase::ALL.iter().map(|c| (c.name(), c.raw())));
        let roles = Role::ALL.iter().map(|role| (role.name(), 1 << (role.raw() - 1)));
        self.named("Roles of an account, to be added up.", "ROLE_", roles);
        self.named(
            "States of an open order.",
            "ORDER_",
            [("resting", queries::RESTING), ("waiting", queries::WAITING), ("call", queries::IN_CALL)]
                .into_iter(),
        );
        self.named("Flags of orders and quotes.", "FLAG_", [("post-only", NewOrder::POST_ONLY)].into_iter());
        self.named("Flags of token orders.", "FLAG_", [("overshoot", TokenOrder::OVERSHOOT)].into_iter());
        let scopes = [("session", MassCancel::SCOPE_SESSION), ("account", MassCancel::SCOPE_ACCOUNT)];
        self.named("Scopes of a mass cancel.", "CANCEL_SCOPE_", scopes.into_iter());
        let scopes = [
            ("account", KillSwitch::SCOPE_ACCOUNT),
            ("session", KillSwitch::SCOPE_SESSION),
            ("class", KillSwitch::SCOPE_CLASS),
            ("exchange", KillSwitch::SCOPE_EXCHANGE),
        ];
        self.named("Scopes of the kill switch.", "KILL_SCOPE_", scopes.into_iter());
        let actions = [("kill", KillSwitch::KILL), ("enable", KillSwitch::ENABLE)];
        self.named("Actions of the kill switch.", "KILL_ACTION_", actions.into_iter());
        let kinds = [
            ("new", BatchEntry::NEW),
            ("cancel", BatchEntry::CANCEL),
            ("replace", BatchEntry::REPLACE),
            ("reduce", BatchEntry::REDUCE),
        ];
        self.named("Kinds of entries of a batch.", "ENTRY_", kinds.into_iter());
        let actions = [
            ("added", BookUpdate::ADDED),
            ("filled", BookUpdate::FILLED),
            ("reduced", BookUpdate::REDUCED),
            ("removed", BookUpdate::REMOVED),
        ];
        self.named("What happened to an order in the book.", "BOOK_", actions.into_iter());
    }

    fn reasons(&mut self) {
        let named = |prefix: &str, name: &str| format!("JB_{prefix}_{}", upper(name));
        let rejects = RejectReason::ALL.iter();
        self.explained(
            "Why a request was refused; the first that applies, in this order.",
            rejects.map(|c| (named("REJECT", c.name()), c.raw().into(), c.explanation())),
        );
        let cancels = CancelReason::ALL.iter();
        self.explained(
            "Why an order, or what was left of it, ended without a fill.",
            cancels.map(|c| (named("CANCEL", c.name()), c.raw().into(), c.explanation())),
        );
        let statuses = RequestStatus::ALL.iter();
        self.explained(
            "What became of a request whose number was used before.",
            statuses.map(|c| (named("REPEATED", c.name()), c.raw().into(), c.explanation())),
        );
        let closes = CloseReason::ALL.iter();
        self.explained(
            "Why a session ends.",
            closes.map(|c| (named("CLOSE", c.name()), c.raw().into(), c.explanation())),
        );
    }

    fn messages(&mut self) {
        self.heading("Commands and events: the structs of the protocol's message table");
        let mut composites: Vec<&str> = Vec::new();
        for info in carried() {
            for field in info.fields.iter().filter(|field| !field.parts.is_empty()) {
                if !composites.contains(&field.composite) {
                    composites.push(field.composite);
                    self.composite(field);
                }
            }
            self.message(info);
        }
    }

    fn composite(&mut self, field: &FieldInfo) {
        let c_name = message_type(field.composite);
        self.line("");
        self.comment("", "Part of the messages below.");
        self.format(format_args!("typedef struct {c_name} {{"));
        self.members(field.parts);
        self.format(format_args!("}} {c_name};"));
        self.asserts(&c_name, field.element_bytes(), field.parts);
    }

    fn message(&mut self, info: &MessageInfo) {
        let c_name = message_type(info.name);
        self.line("");
        self.comment("", &format!("{} {}", info.template_id, sentence(info.doc)));
        self.format(format_args!("typedef struct {c_name} {{"));
        self.members(info.fields);
        self.format(format_args!("}} {c_name};"));
        self.asserts(&c_name, info.block_len, info.fields);
    }

    fn members(&mut self, fields: &[FieldInfo]) {
        for field in fields {
            self.comment("    ", &sentence(field.doc));
            let (kind, name) = (c_type(field), member(field.name));
            let array = if field.count > 1 { format!("[{}]", field.count) } else { String::new() };
            self.format(format_args!("    {kind} {name}{array};"));
        }
    }

    fn asserts(&mut self, c_name: &str, size: usize, fields: &[FieldInfo]) {
        self.format(format_args!("JB_STATIC_ASSERT({c_name}_size, sizeof({c_name}) == {size});"));
        // With the size right and no padding, the place of the last field says that the others are right too.
        if let Some(last) = fields.last().filter(|last| last.offset != 0) {
            let name = member(last.name);
            self.format(format_args!(
                "JB_STATIC_ASSERT({c_name}_{name}, offsetof({c_name}, {name}) == {});",
                last.offset
            ));
        }
    }

    fn structs(&mut self) {
        self.heading("Events to the callback, results, answers to questions");
        for info in structs::structs() {
            self.plain_struct(&info);
        }
    }

    fn plain_struct(&mut self, info: &StructInfo) {
        let c_name = info.c_name;
        self.line("");
        self.comment("", &sentence(info.doc));
        self.format(format_args!("typedef struct {c_name} {{"));
        for field in &info.fields {
            self.comment("    ", &sentence(field.doc));
            self.format(format_args!("    {};", field.declaration));
        }
        self.format(format_args!("}} {c_name};"));
        self.format(format_args!("JB_STATIC_ASSERT({c_name}_size, sizeof({c_name}) == {});", info.size));
        if let Some(last) = info.fields.last() {
            let (name, offset) = (last.name, last.offset);
            self.format(format_args!(
                "JB_STATIC_ASSERT({c_name}_{name}, offsetof({c_name}, {name}) == {offset});"
            ));
        }
    }

    fn functions(&mut self) {
        self.line("");
        self.comment("", "An engine. Opaque.");
        self.line("typedef struct jb_engine jb_engine;\n");
        self.comment("", "Gets every event. `user` is what jb_on_event was given.");
        self.line("typedef void (*jb_event_fn)(void *user, const jb_event *event);");
        for (title, functions) in ffi::groups() {
            self.heading(title);
            for function in functions {
                self.function(&function);
            }
        }
    }

    fn function(&mut self, function: &FunctionInfo) {
        self.line("");
        self.comment("", &sentence(function.doc));
        self.line(wrapped_prototype(&function.prototype));
    }

    fn bottom(&mut self) {
        self.line("\n#ifdef __cplusplus\n}\n#endif\n\n#endif /* JOULEBOOK_H */");
    }

    fn heading(&mut self, title: &str) {
        self.format(format_args!("\n/* ---- {title} ---- */"));
    }

    fn comment(&mut self, indent: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        let mut line = format!("{indent}/**");
        for word in text.split(' ') {
            if line.len() + word.len() > WIDTH {
                self.line(&line);
                line = format!("{indent} *");
            }
            line.push(' ');
            line.push_str(word);
        }
        self.line(line + " */");
    }

    /// An enum of small names.
    fn named<R: Into<i64>>(
        &mut self,
        title: &str,
        prefix: &str,
        names: impl Iterator<Item = (&'static str, R)>,
    ) {
        let rows = names.map(|(name, raw)| (format!("JB_{prefix}{}", upper(name)), raw.into(), ""));
        self.explained(title, rows);
    }

    fn explained(&mut self, title: &str, rows: impl Iterator<Item = (String, i64, &'static str)>) {
        if !title.is_empty() {
            self.line("");
            self.comment("", title);
        }
        self.line("enum {");
        let rows: Vec<_> = rows.collect();
        for (index, (name, raw, text)) in rows.iter().enumerate() {
            self.comment("    ", &sentence(text));
            let comma = if index + 1 < rows.len() { "," } else { "" };
            self.format(format_args!("    {name} = {raw}{comma}"));
        }
        self.line("};");
    }
}

const WIDTH: usize = 96;

/// The messages that cross this boundary: no feed, and of the conversation with a gateway only what an engine says.
fn carried() -> impl Iterator<Item = &'static MessageInfo> {
    let said = ["LogonAccepted", "LogonRejected", "Terminate"];
    TABLE.iter().filter(move |info| (20..100).contains(&info.template_id) || said.contains(&info.name))
}

fn c_type(field: &FieldInfo) -> String {
    if !field.parts.is_empty() {
        return message_type(field.composite);
    }
    let name = match field.primitive {
        Primitive::U8 => "uint8_t",
        Primitive::U16 => "uint16_t",
        Primitive::U32 => "uint32_t",
        Primitive::U64 => "uint64_t",
        Primitive::I32 => "int32_t",
        Primitive::I64 => "int64_t",
        Primitive::Char => "char",
    };
    name.to_owned()
}

/// `class` means something else in C++.
fn member(name: &str) -> &str {
    if name == "class" { "class_code" } else { name }
}

fn upper(name: &str) -> String {
    snake_case(name).to_ascii_uppercase()
}

/// A doc comment as one line.
fn sentence(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn wrapped_prototype(prototype: &str) -> String {
    let prototype = format!("{prototype};");
    if prototype.len() <= WIDTH {
        return prototype;
    }
    let open = prototype.find('(').expect("a prototype has parameters") + 1;
    let (mut out, mut line) = (String::new(), prototype[..open].to_owned());
    for (index, parameter) in prototype[open..].split(", ").enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        if index != 0 && line.len() + parameter.len() + 2 > WIDTH {
            out.push_str(&line);
            out.push_str(",\n");
            line = format!("    {parameter}");
            continue;
        }
        line.push_str(separator);
        line.push_str(parameter);
    }
    out + &line
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_things_in_the_header_share_a_name() {
        let structs = structs::structs().into_iter().map(|info| info.c_name.to_owned());
        let messages = carried().map(|info| message_type(info.name));
        let functions = function_names().into_iter().map(str::to_owned);
        let mut seen = BTreeSet::new();
        for name in structs.chain(messages).chain(functions) {
            assert!(seen.insert(name.clone()), "{name} is there twice");
            assert!(name.starts_with("jb_"));
        }
    }

    #[test]
    fn long_prototypes_are_wrapped_between_parameters() {
        let short = "jb_status jb_f(void)";
        assert_eq!(wrapped_prototype(short), "jb_status jb_f(void);");
        let long = format!("jb_status jb_f({}uint32_t z)", "uint32_t parameter, ".repeat(6));
        let wrapped = wrapped_prototype(&long);
        assert!(wrapped.lines().all(|line| line.len() <= WIDTH + 2), "{wrapped}");
        assert_eq!(wrapped.replace("\n    ", " "), format!("{long};"));
    }
}
