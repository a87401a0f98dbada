package smtpd

// mechanisms are those offered in this session.
func (s *session) mechanisms() []string { return []string{"PLAIN", "LOGIN"} }
