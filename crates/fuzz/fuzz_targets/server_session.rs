#![no_main]

joulebook_fuzz::target!("server_session");
