package sasl

import "bytes"

// plainServer is message = [authzid] NUL authcid NUL passwd (RFC 4616 §2).
type plainServer struct {
	judge Judge
	asked bool
}

// Next implements Server.
func (s *plainServer) Next(response []byte) ([]byte, bool, error) {
	if response == nil && !s.asked {
		s.asked = true
		return []byte{}, false, nil
	}
	parts := bytes.SplitN(response, []byte{0}, 4)
	if len(parts) != 3 {
		return nil, false, ErrSyntax
	}
	cred, err := check(parts[1], parts[2])
	if err != nil {
		return nil, false, err
	}
	if len(parts[0]) > 0 && string(parts[0]) != cred.User {
		return nil, false, ErrProxy
	}
	err = s.judge.Password(cred)
	return nil, err == nil, err
}

// Plain is the client's whole side of PLAIN: its initial response.
func Plain(c Credentials) []byte {
	b := make([]byte, 0, len(c.User)+len(c.Password)+2)
	b = append(append(b, 0), c.User...)
	return append(append(b, 0), c.Password...)
}
