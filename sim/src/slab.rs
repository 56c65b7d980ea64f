//! Things that come and go, named by numbers that are used again only when nobody can hold them: each use has a serial number.

/// The name of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id {
    index: u32,
    serial: u32,
}

/// Things of one kind.
pub struct Slab<T> {
    places: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Slab<T> {
    /// Empty.
    pub fn new() -> Slab<T> {
        Slab { places: Vec::new(), free: Vec::new() }
    }

    /// Puts a thing in.
    pub fn insert(&mut self, thing: T) -> Id {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push((0, None));
            (self.places.len() - 1) as u32
        });
        let place = &mut self.places[index as usize];
        place.0 += 1;
        place.1 = Some(thing);
        Id { index, serial: place.0 }
    }

    /// A thing, if it is still there.
    pub fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        let (serial, thing) = &mut self.places[id.index as usize];
        thing.as_mut().filter(|_| *serial == id.serial)
    }

    /// Takes a thing out, if it is still there.
    pub fn remove(&mut self, id: Id) -> Option<T> {
        self.get_mut(id)?;
        self.free.push(id.index);
        self.places[id.index as usize].1.take()
    }
}
