//! Forgetting what has expired, for good.

use crate::{Documents, Error, Millis};

impl Documents {
    /// Removes what has expired, and makes sure that nothing of what was removed, replaced or deleted is left on disk;
    /// how many documents expired.
    ///
    /// To be called now and then from a thread of its own.  Removes a few hundred at once, so that changes get their
    /// turn, and then closes gaps in memory.
    pub fn sweep(&self, now: Millis) -> Result<u64, Error> {
        let mut expired = 0;
        while let Some(count) = self.expire_some(now)? {
            expired += count;
        }
        self.truth.writer().erase_traces()?;
        for space in self.in_memory() {
            space.close_gaps(&self.truth.writer());
            space.rest()?;
        }
        Ok(expired)
    }

    fn expire_some(&self, now: Millis) -> Result<Option<u64>, Error> {
        let mut writer = self.truth.writer();
        let gone = writer.expire(now)?;
        self.forget(&gone)?;
        Ok((!gone.is_empty()).then_some(gone.len() as u64))
    }
}
