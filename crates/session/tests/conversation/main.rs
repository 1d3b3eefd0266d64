//! Both halves against each other, over a pipe that cuts the bytes at random, with the engine played by hand.

mod answers;
mod limits;
mod logon;
mod long;
mod pipe;
mod resume;
