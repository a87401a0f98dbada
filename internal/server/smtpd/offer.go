package smtpd

import "facteur/internal/mail/smtp"

// offer is what this session offers now, and so which parameters it takes.
func (s *session) offer() *smtp.Extensions {
	size, _ := s.srv.desk.Limits()
	return &smtp.Extensions{Host: s.srv.Hostname, Pipelining: true, SizeOffered: true, Size: size,
		Enhanced: true, EightBitMIME: true, UTF8: true}
}
