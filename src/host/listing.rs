//! A titled table: printed by `inspect` and the other commands, drawn by `top`.

use comfy_table::{CellAlignment, Table, presets};

/// One table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    pub title: &'static str,
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<String>>,
    /// Said instead of the table when there are no rows.
    pub empty: String,
    /// Said below the table.
    pub notes: Vec<String>,
}

/// One column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub name: &'static str,
    /// Numbers stand at the right.
    pub is_number: bool,
}

/// A column of text.
pub(crate) const fn text(name: &'static str) -> Column {
    Column { name, is_number: false }
}

/// A column of numbers.
pub(crate) const fn number(name: &'static str) -> Column {
    Column { name, is_number: true }
}

impl Listing {
    /// The listing with at most so many rows, and a note about the others.
    pub(crate) fn limited(mut self, limit: usize) -> Listing {
        let more = self.rows.len().saturating_sub(limit);
        if more > 0 {
            self.rows.truncate(limit);
            self.notes.push(format!("{more} more: --limit shows as many as you like."));
        }
        self
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY).set_header(self.columns.iter().map(|column| column.name));
        for row in &self.rows {
            table.add_row(row);
        }
        for (column, of) in table.column_iter_mut().zip(&self.columns) {
            column.set_padding((1, 1));
            if of.is_number {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table
    }
}

impl std::fmt::Display for Listing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.title)?;
        match self.rows.is_empty() {
            true => write!(f, ": {}", self.empty)?,
            false => write!(f, "\n{}", self.table())?,
        }
        for note in &self.notes {
            write!(f, "\n{note}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_said() {
        let listing = Listing {
            title: "Things",
            columns: vec![text("name"), number("count")],
            rows: vec![vec!["one".to_owned(), "1".to_owned()], vec!["two".to_owned(), "22".to_owned()]],
            empty: "none.".to_owned(),
            notes: Vec::new(),
        };
        let whole = listing.to_string();
        assert!(whole.starts_with("Things\n") && whole.contains("two") && !whole.contains("more"), "{whole}");
        let limited = listing.clone().limited(1).to_string();
        assert!(!limited.contains("two") && limited.contains("1 more"), "{limited}");
        assert_eq!(Listing { rows: Vec::new(), ..listing }.to_string(), "Things: none.");
    }
}
