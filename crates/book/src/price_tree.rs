//! Which prices have a level, in order: a radix tree whose leaves are pages of 64 levels, from a pool that all books
//! share. A level keeps its place while it lives, so an order finds its level without a search.

use core::hint::select_unpredictable;

use joulebook_sys::reserve_in_large_pages;

use crate::queue::{LevelIx, NO_LEVEL, PAGE, Queues};

const BITS: u32 = 6;
const FANOUT: u64 = 1 << BITS;
const _: () = assert!(PAGE as u64 == FANOUT, "a page of levels is as wide as a node");
/// 64 bits in groups of six.
const HEIGHT_MAX: u32 = u64::BITS.div_ceil(BITS);

/// Where the tree of one side starts: what there is to know of its root without a look at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trunk {
    /// The lowest rank below the root.
    first: u64,
    /// The place of its first child; that of node zero, which has no children, when there is no root.
    root: u32,
    /// A rank's bits below those that choose the root's child.
    shift: u32,
}

impl Trunk {
    pub(crate) const EMPTY: Self = Self { first: 0, root: 0, shift: BITS };

    fn root(&self) -> u32 {
        self.root / FANOUT as u32
    }

    /// Which child of the root is on the way to a rank; one that it does not have when the rank is not below it.
    #[inline]
    fn child(&self, rank: u64) -> u64 {
        (rank ^ self.first) >> self.shift
    }
}

/// The pages and nodes of all books.
#[derive(Debug)]
pub(crate) struct PriceTree {
    /// By page of levels; those of page zero, and of pages that hold no levels, are vacant.
    pages: Vec<Branch>,
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
            pages: vec![Branch::VACANT],
            children: vec![0; FANOUT as usize],
            nodes: vec![Branch::VACANT],
            vacant_nodes: Vec::new(),
        }
    }
}

impl PriceTree {
    /// The level of a rank, which may be empty; nothing when its page is not there. As many loads as the side's prices are apart: the one of the
    /// root while they lie within 4,096 ticks.
    #[inline(always)]
    pub(crate) fn find(&self, trunk: &Trunk, rank: u64) -> Option<LevelIx> {
        let child = trunk.child(rank);
        if child >= FANOUT {
            return None;
        }
        let mut below = *self.children.get(trunk.root as usize + child as usize)?;
        let mut shift = trunk.shift;
        while shift > BITS {
            shift -= BITS;
            // What lies below a child that is not there is looked for below node zero, which has none either.
            below = self.children[(below as u64 * FANOUT + (rank >> shift) % FANOUT) as usize];
        }
        (below != 0).then_some(below + (rank % FANOUT) as u32)
    }

    /// As [`Self::find`], for whoever cannot predict whether there is one: nothing but how far prices are apart decides a
    /// branch.
    #[inline(always)]
    pub(crate) fn find_ahead(&self, trunk: &Trunk, rank: u64) -> LevelIx {
        let child = trunk.child(rank);
        let place = select_unpredictable(child < FANOUT, u64::from(trunk.root) + child, 0);
        let mut below = self.children.get(place as usize).copied().unwrap_or_default();
        let mut shift = trunk.shift;
        while shift > BITS {
            shift -= BITS;
            below = self.children[(below as u64 * FANOUT + (rank >> shift) % FANOUT) as usize];
        }
        select_unpredictable(below != 0, below + (rank % FANOUT) as u32, NO_LEVEL)
    }

    /// Marks a level as one with orders.
    #[inline]
    pub(crate) fn open(&mut self, level: LevelIx) {
        self.pages[(level as u64 / FANOUT) as usize].present |= 1 << (level as u64 % FANOUT);
    }

    /// Marks a level that an order has left as one without orders if `is_empty`. Whether its page has none left; then
    /// [`PriceTree::return_page`] is to come. Which levels go empty cannot be predicted, so the word is written always.
    #[inline]
    #[must_use]
    pub(crate) fn close(&mut self, level: LevelIx, is_empty: bool) -> bool {
        let branch = &mut self.pages[(level as u64 / FANOUT) as usize];
        branch.present &= !(u64::from(is_empty) << (level as u64 % FANOUT));
        branch.present == 0
    }

    /// Whether the page of a level has none with orders.
    pub(crate) fn is_page_empty(&self, level: LevelIx) -> bool {
        self.pages[(level as u64 / FANOUT) as usize].present == 0
    }

    /// The first level.
    pub(crate) fn first(&self, trunk: &Trunk) -> LevelIx {
        if trunk.root == 0 { NO_LEVEL } else { self.first_below(trunk.root()) }
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

    /// Nodes that lead to levels.
    pub(crate) fn nodes_in_use(&self) -> usize {
        self.nodes.len() - 1 - self.vacant_nodes.len()
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

    /// The level of a rank, with all on the way to it that is not there yet.
    pub(crate) fn grow(&mut self, queues: &mut Queues, trunk: &mut Trunk, rank: u64) -> LevelIx {
        if trunk.root == 0 {
            let root = self.new_node(rank, 2, 0);
            self.set_root(trunk, root);
        }
        while trunk.child(rank) >= FANOUT {
            self.raise_root(trunk);
        }
        let mut number = trunk.root();
        for height in (2..self.nodes[number as usize].height).rev() {
            let place = number as u64 * FANOUT + child_at(height + 1, rank);
            let below = self.children[place as usize];
            number = if below == 0 { self.new_node(rank, height, number) } else { below };
        }
        let page = self.children[(number as u64 * FANOUT + child_at(2, rank)) as usize];
        let page = if page == 0 { self.new_page(queues, rank, number) } else { page };
        page + (rank % FANOUT) as u32
    }

    /// Puts a node above the root.
    #[cold]
    fn raise_root(&mut self, trunk: &mut Trunk) {
        let below = trunk.root();
        let Branch { first, height, .. } = self.nodes[below as usize];
        let root = self.new_node(first, height + 1, 0);
        self.link(root, first, below);
        self.nodes[below as usize].parent = root;
        self.set_root(trunk, root);
    }

    /// Takes nodes with one child away from above the others, so that prices that have gone make no way longer.
    #[cold]
    fn lower_root(&mut self, trunk: &mut Trunk) {
        let mut number = trunk.root();
        while let Branch { present, height: 3.., .. } = self.nodes[number as usize]
            && present.is_power_of_two()
        {
            let place = (number as u64 * FANOUT) as usize + present.trailing_zeros() as usize;
            self.vacant_nodes.push(number);
            number = core::mem::take(&mut self.children[place]);
            self.nodes[number as usize].parent = 0;
        }
        self.set_root(trunk, number);
    }

    fn set_root(&self, trunk: &mut Trunk, number: u32) {
        let Branch { first, height, .. } = self.nodes[number as usize];
        *trunk = Trunk { first, root: number * FANOUT as u32, shift: BITS * (height - 1) };
    }

    fn link(&mut self, number: u32, rank: u64, below: u32) {
        let node = &mut self.nodes[number as usize];
        let child = node.child(rank);
        node.present |= 1 << child;
        self.children[(number as u64 * FANOUT) as usize + child as usize] = below;
    }

    fn new_page(&mut self, queues: &mut Queues, rank: u64, parent: u32) -> u32 {
        let page = queues.take_page();
        let coming = (page as usize + 1).saturating_sub(self.pages.len());
        reserve_in_large_pages(&mut self.pages, coming);
        self.pages.resize(self.pages.len() + coming, Branch::VACANT);
        self.pages[page as usize] = Branch::new(rank, 1, parent);
        self.link(parent, rank, page * FANOUT as u32);
        page * FANOUT as u32
    }

    /// A node below `parent`; zero is none.
    #[cold]
    fn new_node(&mut self, rank: u64, height: u32, parent: u32) -> u32 {
        let number = self.vacant_nodes.pop().unwrap_or_else(|| {
            self.nodes.push(Branch::VACANT);
            reserve_in_large_pages(&mut self.children, FANOUT as usize);
            self.children.resize(self.children.len() + FANOUT as usize, 0);
            (self.nodes.len() - 1) as u32
        });
        self.nodes[number as usize] = Branch::new(rank, height, parent);
        if parent != 0 {
            self.link(parent, rank, number);
        }
        number
    }

    /// Gives back the page of a level, and the nodes that lead to no other.
    #[cold]
    pub(crate) fn return_page(&mut self, queues: &mut Queues, trunk: &mut Trunk, level: LevelIx) {
        let page = level / PAGE;
        queues.give_page_back(page);
        let Branch { first, parent, .. } = self.pages[page as usize];
        let mut number = parent;
        while number != 0 {
            let node = &mut self.nodes[number as usize];
            let (child, parent) = (node.child(first), node.parent);
            node.present &= !(1 << child);
            let is_vacant = node.present == 0;
            self.children[(number as u64 * FANOUT) as usize + child as usize] = 0;
            if !is_vacant {
                if parent == 0 {
                    self.lower_root(trunk);
                }
                return;
            }
            self.vacant_nodes.push(number);
            number = parent;
        }
        *trunk = Trunk::EMPTY;
    }
}
