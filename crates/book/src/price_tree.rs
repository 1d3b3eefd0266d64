//! Which prices have a level, in order: a radix tree whose leaves are pages of 64 levels, from a pool that all books
//! share. A level keeps its place while it lives, so an order finds its level without a search.

use joulebook_sys::prefetch_write;

use crate::queue::Queue;

/// A page's number times 64, plus the place in the page. Page zero stays empty: what is not there is found there.
pub(crate) type LevelIx = u32;

/// No level.
pub(crate) const NO_LEVEL: LevelIx = 0;

const BITS: u32 = 6;
const FANOUT: u64 = 1 << BITS;
/// 64 bits in groups of six.
const HEIGHT_MAX: u32 = u64::BITS.div_ceil(BITS);

/// Where the tree of one side starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trunk {
    root: u32,
    /// The node above pages that was used last: most of what happens, happens there. The place of its first child...
    near: u32,
    /// ...and the number of the page that is its first child, counted through all prices.
    near_page: u64,
}

impl Trunk {
    pub(crate) const EMPTY: Self = Self { root: 0, near: 0, near_page: NO_PAGE };
}

/// Further than a node's width from every page.
const NO_PAGE: u64 = 1 << (u64::BITS - BITS);

/// The pages and nodes of all books.
#[derive(Debug)]
pub(crate) struct PriceTree {
    levels: Vec<Queue>,
    pages: Vec<Branch>,
    vacant_pages: Vec<u32>,
    /// Of node `n` from place `64 * n` on: numbers of nodes, or above pages a page's first level; zero where is none.
    children: Vec<u32>,
    nodes: Vec<Branch>,
    vacant_nodes: Vec<u32>,
}

/// What a page and a node have in common.
#[derive(Clone, Copy, Debug)]
struct Branch {
    /// Which of the 64 children exist, or which levels have orders.
    present: u64,
    /// The lowest rank below it.
    first: u64,
    parent: u32,
    /// One for a page.
    height: u32,
}

impl Branch {
    /// Covers nothing but rank zero, which no price has.
    const VACANT: Self = Self { present: 0, first: 0, parent: 0, height: 0 };

    fn new(rank: u64, height: u32, parent: u32) -> Self {
        let first = if height >= HEIGHT_MAX { 0 } else { rank & (u64::MAX << (BITS * height)) };
        Self { present: 0, first, parent, height }
    }

    fn covers(&self, rank: u64) -> bool {
        self.height >= HEIGHT_MAX || (rank ^ self.first) >> (BITS * self.height) == 0
    }

    /// The child on the way to a rank below it.
    fn child(&self, rank: u64) -> u32 {
        child_at(self.height, rank) as u32
    }

    fn first_child(&self) -> u32 {
        self.present.trailing_zeros()
    }

    fn child_after(&self, child: u32) -> Option<u32> {
        // Shifted twice, because a shift by all 64 bits at once is none.
        let rest = self.present & (u64::MAX << child << 1);
        (rest != 0).then(|| rest.trailing_zeros())
    }
}

/// Which child of a node of this height is on the way to a rank.
#[inline]
fn child_at(height: u32, rank: u64) -> u64 {
    rank >> (BITS * (height - 1)) & (FANOUT - 1)
}

impl Default for PriceTree {
    fn default() -> Self {
        Self {
            levels: vec![Queue::EMPTY; FANOUT as usize],
            pages: vec![Branch::VACANT],
            vacant_pages: Vec::new(),
            children: vec![0; FANOUT as usize],
            nodes: vec![Branch::VACANT],
            vacant_nodes: Vec::new(),
        }
    }
}

impl PriceTree {
    #[inline]
    pub(crate) fn level(&self, level: LevelIx) -> &Queue {
        &self.levels[level as usize]
    }

    /// Asks for the memory of a level.
    #[inline]
    pub(crate) fn prepare(&self, level: LevelIx) {
        if let Some(queue) = self.levels.get(level as usize) {
            prefetch_write(queue);
        }
    }

    #[inline]
    pub(crate) fn level_mut(&mut self, level: LevelIx) -> &mut Queue {
        &mut self.levels[level as usize]
    }

    /// The level of a rank when it lies near; an empty one when it does not, or has no orders.
    #[inline]
    pub(crate) fn find_near(&self, trunk: &Trunk, rank: u64) -> LevelIx {
        let nth = (rank >> BITS).wrapping_sub(trunk.near_page);
        if nth >= FANOUT {
            return NO_LEVEL;
        }
        self.children[trunk.near as usize + nth as usize] + (rank % FANOUT) as u32
    }

    /// The level of a rank, with all that has to be made for it. What is near is then near this rank.
    pub(crate) fn find_or_grow(&mut self, trunk: &mut Trunk, rank: u64) -> LevelIx {
        let nth = (rank >> BITS).wrapping_sub(trunk.near_page);
        let known = if nth < FANOUT { self.children[trunk.near as usize + nth as usize] } else { 0 };
        let page = if known == 0 { self.walk(trunk, rank) } else { known };
        page + (rank % FANOUT) as u32
    }

    /// Marks a level as one with orders.
    #[inline]
    pub(crate) fn open(&mut self, level: LevelIx) {
        self.pages[(level as u64 / FANOUT) as usize].present |= 1 << (level as u64 % FANOUT);
    }

    /// Marks a level as one without orders; pages and nodes without levels go back to the pool.
    #[inline]
    pub(crate) fn close(&mut self, trunk: &mut Trunk, level: LevelIx) {
        let page = level as u64 / FANOUT;
        let branch = &mut self.pages[page as usize];
        branch.present &= !(1 << (level as u64 % FANOUT));
        if branch.present == 0 {
            self.return_page(trunk, page as u32);
        }
    }

    /// The first level.
    pub(crate) fn first(&self, trunk: &Trunk) -> LevelIx {
        if trunk.root == 0 { NO_LEVEL } else { self.first_below(trunk.root) }
    }

    /// The level that comes after one that has orders.
    #[inline]
    pub(crate) fn after(&self, level: LevelIx) -> LevelIx {
        let page = &self.pages[(level as u64 / FANOUT) as usize];
        match page.child_after((level as u64 % FANOUT) as u32) {
            Some(next) => level - (level as u64 % FANOUT) as u32 + next,
            None => self.after_page(page),
        }
    }

    #[inline]
    pub(crate) fn rank(&self, level: LevelIx) -> u64 {
        self.pages[(level as u64 / FANOUT) as usize].first + level as u64 % FANOUT
    }

    /// Pages and nodes that hold levels.
    pub(crate) fn in_use(&self) -> (usize, usize) {
        (self.pages.len() - 1 - self.vacant_pages.len(), self.nodes.len() - 1 - self.vacant_nodes.len())
    }

    fn after_page(&self, page: &Branch) -> LevelIx {
        let mut number = page.parent;
        while number != 0 {
            let node = &self.nodes[number as usize];
            if let Some(child) = node.child_after(node.child(page.first)) {
                let below = self.children[(number as u64 * FANOUT) as usize + child as usize];
                return if node.height == 2 { self.first_of_page(below) } else { self.first_below(below) };
            }
            number = node.parent;
        }
        NO_LEVEL
    }

    fn first_below(&self, mut number: u32) -> LevelIx {
        loop {
            let node = &self.nodes[number as usize];
            let below = self.children[(number as u64 * FANOUT) as usize + node.first_child() as usize];
            if node.height == 2 {
                return self.first_of_page(below);
            }
            number = below;
        }
    }

    fn first_of_page(&self, page: u32) -> LevelIx {
        page + self.pages[(page as u64 / FANOUT) as usize].first_child()
    }

    /// The first level of the page of a rank, from the root down.
    fn walk(&mut self, trunk: &mut Trunk, rank: u64) -> u32 {
        if !self.nodes[trunk.root as usize].covers(rank) {
            self.raise_root(trunk, rank);
        }
        let mut number = trunk.root;
        for height in (2..self.nodes[number as usize].height).rev() {
            let place = number as u64 * FANOUT + child_at(height + 1, rank);
            let below = self.children[place as usize];
            number = if below == 0 { self.new_node(rank, height, number) } else { below };
        }
        (trunk.near, trunk.near_page) = (number * FANOUT as u32, rank >> BITS & !(FANOUT - 1));
        let page = self.children[trunk.near as usize + child_at(2, rank) as usize];
        if page == 0 { self.new_page(rank, number) } else { page }
    }

    /// Puts nodes above the root until it covers a rank.
    #[cold]
    fn raise_root(&mut self, trunk: &mut Trunk, rank: u64) {
        if trunk.root == 0 {
            trunk.root = self.new_node(rank, 2, 0);
        }
        while !self.nodes[trunk.root as usize].covers(rank) {
            let Branch { first, height, .. } = self.nodes[trunk.root as usize];
            let root = self.new_node(first, height + 1, 0);
            self.link(root, first, trunk.root);
            self.nodes[trunk.root as usize].parent = root;
            trunk.root = root;
        }
    }

    fn link(&mut self, number: u32, rank: u64, below: u32) {
        let node = &mut self.nodes[number as usize];
        let child = node.child(rank);
        node.present |= 1 << child;
        self.children[(number as u64 * FANOUT) as usize + child as usize] = below;
    }

    fn new_page(&mut self, rank: u64, parent: u32) -> u32 {
        let page = self.vacant_pages.pop().unwrap_or_else(|| {
            self.pages.push(Branch::VACANT);
            self.levels.resize(self.levels.len() + FANOUT as usize, Queue::EMPTY);
            (self.pages.len() - 1) as u32
        });
        self.pages[page as usize] = Branch::new(rank, 1, parent);
        self.link(parent, rank, page * FANOUT as u32);
        page * FANOUT as u32
    }

    /// A node below `parent`; zero is none.
    #[cold]
    fn new_node(&mut self, rank: u64, height: u32, parent: u32) -> u32 {
        let number = self.vacant_nodes.pop().unwrap_or_else(|| {
            self.nodes.push(Branch::VACANT);
            self.children.resize(self.children.len() + FANOUT as usize, 0);
            (self.nodes.len() - 1) as u32
        });
        self.nodes[number as usize] = Branch::new(rank, height, parent);
        if parent != 0 {
            self.link(parent, rank, number);
        }
        number
    }

    #[cold]
    fn return_page(&mut self, trunk: &mut Trunk, page: u32) {
        self.vacant_pages.push(page);
        let Branch { first, parent, .. } = self.pages[page as usize];
        let mut number = parent;
        while number != 0 {
            let node = &mut self.nodes[number as usize];
            let (child, parent) = (node.child(first), node.parent);
            node.present &= !(1 << child);
            let is_vacant = node.present == 0;
            self.children[(number as u64 * FANOUT) as usize + child as usize] = 0;
            if !is_vacant {
                return;
            }
            self.vacant_nodes.push(number);
            if trunk.near == number * FANOUT as u32 {
                (trunk.near, trunk.near_page) = (0, NO_PAGE);
            }
            number = parent;
        }
        trunk.root = 0;
    }
}
