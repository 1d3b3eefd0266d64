//! From sparse numbers to dense ones: a radix tree whose nodes come from a pool, so that it does not allocate once it
//! has seen the usual width. Its memory follows the entries, however far apart their keys lie.

/// From a sparse number to a dense one. An entry is found in as many steps as the largest key has groups of six bits; a
/// node tells by one word of bits which of its 64 children exist.
#[derive(Debug, Default)]
pub struct TickIndex {
    nodes: Vec<Node>,
    vacant: Vec<u32>,
    root: u32,
    /// Levels of nodes; the root of a tree of height one has level indices for children.
    height: u32,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    present: u64,
    children: [u32; FANOUT],
}

const BITS: u32 = 6;
const FANOUT: usize = 1 << BITS;
/// 64 bits in groups of six.
const HEIGHT_MAX: u32 = u64::BITS.div_ceil(BITS);

impl Node {
    const EMPTY: Self = Self { present: 0, children: [0; FANOUT] };

    fn get(&self, slot: u32) -> Option<u32> {
        (self.present >> slot & 1 != 0).then(|| self.children[slot as usize])
    }
}

/// The group of bits that a node at `height` (counted from the leaves, from one) looks at.
const fn slot(tick: u64, height: u32) -> u32 {
    (tick >> (BITS * (height - 1)) & (FANOUT as u64 - 1)) as u32
}

/// Nodes on the way from the root of the lowest tree that covers the tick.
const fn height_of(tick: u64) -> u32 {
    let bits = u64::BITS - tick.leading_zeros();
    if bits == 0 { 1 } else { bits.div_ceil(BITS) }
}

impl TickIndex {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn get(&self, tick: u64) -> Option<u32> {
        if !self.covers(tick) {
            return None;
        }
        (1..=self.height).rev().try_fold(self.root, |node, height| self.node(node).get(slot(tick, height)))
    }

    /// Adds a tick that has no level yet.
    ///
    /// # Panics
    /// When it has one.
    pub fn insert(&mut self, tick: u64, level: u32) {
        if self.height == 0 {
            self.root = self.new_node();
            self.height = height_of(tick);
        }
        while !self.covers(tick) {
            self.grow();
        }
        let mut node = self.root;
        for height in (2..=self.height).rev() {
            node = match self.node(node).get(slot(tick, height)) {
                Some(child) => child,
                None => {
                    let child = self.new_node();
                    self.link(node, slot(tick, height), child);
                    child
                }
            };
        }
        assert!(self.node(node).get(slot(tick, 1)).is_none(), "a tick has one level");
        self.link(node, slot(tick, 1), level);
        self.len += 1;
    }

    /// Removes a tick that has a level; nodes without children go back to the pool.
    ///
    /// # Panics
    /// When it has none.
    pub fn remove(&mut self, tick: u64) {
        let path = self.path(tick);
        self.len -= 1;
        for height in 1..=self.height {
            let ix = path[height as usize];
            let node = &mut self.nodes[ix as usize];
            node.present &= !(1 << slot(tick, height));
            if node.present != 0 {
                return;
            }
            self.vacant.push(ix);
        }
        self.height = 0;
    }

    /// The node at each height on the way to a tick that has a level.
    fn path(&self, tick: u64) -> [u32; HEIGHT_MAX as usize + 1] {
        assert!(self.covers(tick), "the tick has a level");
        let mut path = [0; HEIGHT_MAX as usize + 1];
        let mut node = self.root;
        for height in (1..=self.height).rev() {
            path[height as usize] = node;
            node = self.node(node).get(slot(tick, height)).expect("the tick has a level");
        }
        path
    }

    fn covers(&self, tick: u64) -> bool {
        height_of(tick) <= self.height
    }

    /// Puts a node above the root, which has children: a node in use is never empty.
    fn grow(&mut self) {
        let root = self.new_node();
        self.link(root, 0, self.root);
        self.root = root;
        self.height += 1;
    }

    fn new_node(&mut self) -> u32 {
        match self.vacant.pop() {
            Some(node) => {
                self.nodes[node as usize].present = 0;
                node
            }
            None => {
                self.nodes.push(Node::EMPTY);
                (self.nodes.len() - 1) as u32
            }
        }
    }

    fn link(&mut self, node: u32, slot: u32, child: u32) {
        let node = &mut self.nodes[node as usize];
        node.present |= 1 << slot;
        node.children[slot as usize] = child;
    }

    fn node(&self, node: u32) -> &Node {
        &self.nodes[node as usize]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_is_a_map(
            steps in prop::collection::vec((any::<bool>(), prop_oneof![
                20 => 2_600..2_800u64, 2 => 0..70u64, 2 => 1_000_000..1_000_064u64, 1 => any::<u64>(),
            ]), 1..300),
        ) {
            let (mut index, mut model) = (TickIndex::default(), BTreeMap::new());
            for (level, (add, tick)) in steps.into_iter().enumerate() {
                match (add, model.contains_key(&tick)) {
                    (true, false) => {
                        index.insert(tick, level as u32);
                        model.insert(tick, level as u32);
                    }
                    (false, true) => {
                        index.remove(tick);
                        model.remove(&tick);
                    }
                    (true, true) | (false, false) => {}
                }
                prop_assert_eq!(index.get(tick), model.get(&tick).copied());
                prop_assert_eq!(index.len(), model.len());
            }
            for tick in model.keys() {
                index.remove(*tick);
            }
            prop_assert_eq!(index.vacant.len(), index.nodes.len(), "an empty index keeps no node in use");
        }
    }
}
