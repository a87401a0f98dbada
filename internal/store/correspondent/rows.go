package correspondent

import (
	"context"

	"facteur/internal/store/behind"
	"facteur/internal/store/db"
)

// Write makes durable what was noted. What could not be written is tried again with the
// next Write.
func (s *Store) Write(ctx context.Context) error {
	for {
		batch := s.take()
		if len(batch) == 0 {
			return nil
		}
		err := s.db.Write(ctx, func(tx *db.Tx) error { return s.put(tx, batch) })
		s.done(batch, err)
		if err != nil {
			return about(err)
		}
	}
}

// take takes some pairs to write them; until done they are still known.
func (s *Store) take() map[pair]int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	batch := make(map[pair]int64, min(len(s.pending), behind.Most))
	for p, n := range s.pending {
		batch[p] = n
		delete(s.pending, p)
		if len(batch) == behind.Most {
			break
		}
	}
	s.writing = batch
	return batch
}

func (s *Store) done(batch map[pair]int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writing = nil
	if err != nil {
		for p, n := range batch {
			s.pending[p] += n
		}
	}
}

func (s *Store) put(tx *db.Tx, batch map[pair]int64) error {
	accounts := map[int64]bool{}
	for p, n := range batch {
		accounts[p.account] = true
		_, err := tx.Exec(`INSERT INTO correspondent (account, peer, letters, last) VALUES (?, ?, ?, ?)
			ON CONFLICT (account, peer) DO UPDATE SET letters = letters + excluded.letters, last = excluded.last`, p.account, p.peer, n, s.day())
		if err != nil {
			return err
		}
	}
	for account := range accounts {
		if err := s.trim(tx, account); err != nil {
			return err
		}
	}
	return nil
}

// trim makes room when an account has too many: a tenth of them goes.
func (s *Store) trim(tx *db.Tx, account int64) error {
	var n int
	if err := tx.QueryRow(`SELECT count(*) FROM correspondent WHERE account = ?`, account).Scan(&n); err != nil || n <= s.peers {
		return err
	}
	_, err := tx.Exec(`DELETE FROM correspondent WHERE account = ?1 AND peer IN
		(SELECT peer FROM correspondent WHERE account = ?1 ORDER BY last, letters LIMIT ?2)`, account, n-s.peers+s.peers/10)
	return err
}

// sweep forgets what is over, and makes room when there is too much in all.
func (s *Store) sweep(ctx context.Context) error {
	return about(s.db.Write(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(`DELETE FROM correspondent WHERE last < ?`, s.oldest()); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRow(`SELECT count(*) FROM correspondent`).Scan(&n); err != nil || n <= s.pairs {
			return err
		}
		_, err := tx.Exec(`DELETE FROM correspondent WHERE (account, peer) IN (SELECT account, peer FROM correspondent ORDER BY last LIMIT ?)`, n-s.pairs)
		return err
	}))
}
