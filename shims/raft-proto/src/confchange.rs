//! Configuration changes: both generations under one trait, and a short text form of them.

use std::borrow::Cow;

use crate::eraftpb::{
    ConfChange, ConfChangeSingle, ConfChangeTransition, ConfChangeType, ConfChangeV2,
};

/// Either generation of a configuration change.
pub trait ConfChangeI {
    /// Turns the change into the newer generation.
    fn into_v2(self) -> ConfChangeV2;

    /// The change as the newer generation, borrowed where it is one already.
    fn as_v2(&self) -> Cow<'_, ConfChangeV2>;

    /// The change as the older generation, if it is of that; the newer one never converts back.
    fn as_v1(&self) -> Option<&ConfChange>;
}

impl ConfChangeI for ConfChange {
    fn into_v2(self) -> ConfChangeV2 {
        ConfChangeV2 {
            changes: vec![new_conf_change_single(self.node_id, self.change_type)],
            context: self.context,
            ..ConfChangeV2::default()
        }
    }

    fn as_v2(&self) -> Cow<'_, ConfChangeV2> {
        Cow::Owned(self.clone().into_v2())
    }

    fn as_v1(&self) -> Option<&ConfChange> {
        Some(self)
    }
}

impl ConfChangeI for ConfChangeV2 {
    fn into_v2(self) -> ConfChangeV2 {
        self
    }

    fn as_v2(&self) -> Cow<'_, ConfChangeV2> {
        Cow::Borrowed(self)
    }

    fn as_v1(&self) -> Option<&ConfChange> {
        None
    }
}

impl ConfChangeV2 {
    /// Whether the change goes through a joint configuration, and if so whether that is left
    /// without being asked. One single change with the automatic transition needs none.
    #[must_use]
    pub fn enter_joint(&self) -> Option<bool> {
        match self.transition {
            ConfChangeTransition::Explicit => Some(false),
            ConfChangeTransition::Implicit => Some(true),
            ConfChangeTransition::Auto if self.changes.len() > 1 => Some(true),
            ConfChangeTransition::Auto => None,
        }
    }

    /// Whether the change does nothing but leave a joint configuration.
    #[must_use]
    pub fn leave_joint(&self) -> bool {
        self.changes.is_empty() && self.transition == ConfChangeTransition::Auto
    }
}

/// One step of a configuration change.
#[must_use]
pub fn new_conf_change_single(node_id: u64, change_type: ConfChangeType) -> ConfChangeSingle {
    ConfChangeSingle { change_type, node_id }
}

/// Reads steps from words: `v3` makes 3 a voter, `l3` a learner, `r3` removes it.
pub fn parse_conf_change(text: &str) -> Result<Vec<ConfChangeSingle>, String> {
    text.split_ascii_whitespace().map(parse_step).collect()
}

fn parse_step(word: &str) -> Result<ConfChangeSingle, String> {
    let letters = [
        ('v', ConfChangeType::AddNode),
        ('l', ConfChangeType::AddLearnerNode),
        ('r', ConfChangeType::RemoveNode),
    ];
    let (digits, change_type) = letters
        .into_iter()
        .find_map(|(letter, change_type)| Some((word.strip_prefix(letter)?, change_type)))
        .ok_or_else(|| format!("`{word}` starts with none of v, l, r"))?;
    let node_id = digits.parse().map_err(|e| format!("`{word}` names no member: {e}"))?;
    Ok(new_conf_change_single(node_id, change_type))
}

/// The inverse of [`parse_conf_change`].
#[must_use]
pub fn stringify_conf_change(steps: &[ConfChangeSingle]) -> String {
    let word = |step: &ConfChangeSingle| {
        let letter = match step.change_type {
            ConfChangeType::AddNode => 'v',
            ConfChangeType::AddLearnerNode => 'l',
            ConfChangeType::RemoveNode => 'r',
        };
        format!("{letter}{}", step.node_id)
    };
    steps.iter().map(word).collect::<Vec<_>>().join(" ")
}
