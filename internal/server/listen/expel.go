package listen

// Expel ends the sessions of accounts that gone tells of: it is asked once for each
// account, without a lock. They end as if the client had hung up, in the middle of
// whatever they do.
func (s *Server) Expel(gone func(account string) bool) (ended int) {
	for account, conns := range s.loggedIn() {
		if !gone(account) {
			continue
		}
		for _, c := range conns {
			c.raw.Close()
			ended++
		}
	}
	return ended
}

// loggedIn are the connections of those who have logged in, by account.
func (s *Server) loggedIn() map[string][]*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string][]*Conn)
	for c := range s.conns {
		if account := c.loggedInAs(); account != "" {
			out[account] = append(out[account], c)
		}
	}
	return out
}
