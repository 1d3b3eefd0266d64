#![no_main]

joulebook_fuzz::target!("client_session");
