#![no_main]

joulebook_fuzz::target!("pipe");
