//! What a gateway makes of small windows.

use joulebook_protocol::PublicEvent;
use joulebook_protocol::messages::InstrumentDefinition;
use joulebook_protocol::pipe::EventFrame;
use joulebook_session::{ClientConfig, ClientOutput, ClientSession, Now};
use joulebook_types::{InstrumentId, TimeNs};

use crate::pipes::World;

#[test]
fn a_peer_with_a_window_of_a_few_bytes_gets_everything_in_order() {
    let now = Now { steady: TimeNs::new(1), wall: TimeNs::new(1_000_000) };
    let mut world = World::new(now);
    let definitions = (1..=40).map(|number| InstrumentDefinition {
        instrument: InstrumentId::new(number),
        ..InstrumentDefinition::default()
    });
    let definitions: Vec<InstrumentDefinition> = definitions.collect();
    for definition in &definitions {
        world.events.try_push(EventFrame::of(None, definition)).expect("room");
    }
    let connection = world.pipes.connect();
    world.pipes.open(connection, 0, 11);
    let mut client = ClientSession::new(ClientConfig::anonymous());
    client.start([7; 32], now.steady);
    let (mut seen, mut has_asked) = (Vec::new(), false);
    for _ in 0..10_000 {
        world.pipes.send(connection, 0, client.unsent());
        client.sent(client.unsent().len());
        world.settle(now);
        client.on_bytes(&world.pipes.receive(connection, 0).0, now.steady);
        while let Some(output) = client.poll(now.steady) {
            if let ClientOutput::Public(PublicEvent::InstrumentDefinition(definition)) = output {
                seen.push(definition);
            }
        }
        if client.is_ready() && !std::mem::replace(&mut has_asked, client.is_ready()) {
            assert!(client.subscribe(InstrumentId::NONE, 3, now.steady));
        }
        if seen.len() == definitions.len() {
            break;
        }
    }
    assert_eq!(seen.len(), definitions.len());
    let numbers = |all: &[InstrumentDefinition]| -> Vec<InstrumentId> {
        all.iter().map(|definition| definition.instrument).collect()
    };
    assert_eq!(numbers(&seen), numbers(&definitions));
}
