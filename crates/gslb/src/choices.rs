//! What answers for all names that depend on who asks, by number: in pieces, so that where a few change the others are shared.

use std::ops::Index;
use std::sync::Arc;

use crate::choice::Choice;

/// The choices by number. A clone shares all of them.
#[derive(Clone, Debug, Default)]
pub struct Choices {
    /// Of [`PIECE`] choices each, but for the last one.
    pieces: Arc<[Arc<[Choice]>]>,
}

impl Choices {
    /// The choice with a number.
    pub fn get(&self, number: usize) -> Option<&Choice> {
        self.pieces.get(number / PIECE)?.get(number % PIECE)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Choice> {
        self.pieces.iter().flat_map(|piece| piece.iter())
    }

    /// The same with others in the places of some; their numbers rise.
    pub(crate) fn with(&self, others: impl IntoIterator<Item = (u32, Choice)>) -> Self {
        let mut pieces = self.pieces.to_vec();
        let mut others = others.into_iter().peekable();
        while let Some(place) = others.peek().map(|(number, _)| *number as usize / PIECE) {
            let Some(piece) = pieces.get_mut(place) else { break };
            let changed = (0..).zip(piece.iter()).map(|(within, choice)| {
                let other = others.next_if(|(number, _)| *number as usize == place * PIECE + within);
                other.map_or_else(|| choice.clone(), |(_, other)| other)
            });
            *piece = changed.collect();
            // The last piece may be shorter: what lies beyond its end is nobody's.
            while others.next_if(|(number, _)| *number as usize / PIECE == place).is_some() {}
        }
        Choices { pieces: pieces.into() }
    }
}

impl Index<usize> for Choices {
    type Output = Choice;

    #[inline]
    fn index(&self, number: usize) -> &Choice {
        &self.pieces[number / PIECE][number % PIECE]
    }
}

impl FromIterator<Choice> for Choices {
    fn from_iter<I: IntoIterator<Item = Choice>>(choices: I) -> Self {
        let mut choices = choices.into_iter().peekable();
        let mut pieces: Vec<Arc<[Choice]>> = Vec::new();
        while choices.peek().is_some() {
            pieces.push(choices.by_ref().take(PIECE).collect());
        }
        Choices { pieces: pieces.into() }
    }
}

/// Choices that are copied where one of them changes. The list of the pieces is copied at every change, and looked into with
/// every query: with a hundred thousand choices it fits into the nearest cache.
const PIECE: usize = 64;

#[cfg(test)]
mod tests {
    use fulcrum_config::gslb::Choose;

    use super::*;
    use crate::choice::Manner;
    use crate::region::Region;

    /// A choice that is known by a number.
    fn choice(number: u32) -> Choice {
        let owner = "www.example.com".parse().expect("a name");
        let manner = Manner { owner: &owner, choose: Choose::All, max_answers: 1 };
        Choice::new(manner, None, &[]).naming([(Region(0), number)].into())
    }

    fn numbers(choices: &Choices) -> Vec<u32> {
        choices.iter().map(|choice| choice.named()[0].1).collect()
    }

    #[test]
    fn choices_are_found_by_number() {
        for count in [0, 1, 63, 64, 65, 128, 1000] {
            let choices: Choices = (0..count).map(choice).collect();
            assert_eq!(numbers(&choices), (0..count).collect::<Vec<_>>());
            assert!((0..count).all(|number| choices[number as usize].named()[0].1 == number));
            assert!(choices.get(count as usize).is_none());
        }
    }

    #[test]
    fn where_some_change_the_others_are_shared() {
        let before: Choices = (0..1000).map(choice).collect();
        let changed = [0, 1, 63, 64, 640, 999];
        let after = before.with(changed.map(|number| (number, choice(number + 5000))));
        let expected = (0..1000).map(|number| if changed.contains(&number) { number + 5000 } else { number });
        assert_eq!(numbers(&after), expected.collect::<Vec<_>>());
        assert_eq!(numbers(&before), (0..1000).collect::<Vec<_>>());
        let shared =
            before.pieces.iter().zip(after.pieces.iter()).filter(|(one, other)| Arc::ptr_eq(one, other));
        assert_eq!((before.pieces.len(), shared.count()), (16, 12));
        for number in [1000, 1001, 1023, 1024, 5000] {
            let beyond = before.with([(5, choice(7)), (number, choice(8)), (number + 1, choice(9))]);
            assert_eq!((beyond[5].named()[0].1, beyond.iter().count()), (7, 1000), "{number}");
        }
    }
}
