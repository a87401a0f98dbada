package message

// Section finds the part that IMAP numbers by path (RFC 9051 §6.4.5.1), from
// the root of a message: nil path gives p itself, a number that is not there
// nil. A message that is no multipart has itself as part 1; the numbers below a
// message/rfc822 count in the message inside.
func (p *Part) Section(path []uint32) *Part {
	message := true // p is to be taken as a message, not as a part
	for _, n := range path {
		if !message && p.Message() && len(p.Children) == 1 {
			p, message = p.Children[0], true
		}
		switch {
		case p.Multipart():
			if n == 0 || uint64(n) > uint64(len(p.Children)) {
				return nil
			}
			p, message = p.Children[n-1], false
		case message && n == 1:
			message = false
		default:
			return nil
		}
	}
	return p
}
