package sasl

// externalServer takes the word of the layer below: the certificate that the
// client showed in TLS. The response is whom it wants to be, or empty.
type externalServer struct {
	judge Judge
	asked bool
}

// Next implements Server.
func (s *externalServer) Next(response []byte) ([]byte, bool, error) {
	if response == nil && !s.asked {
		s.asked = true
		return []byte{}, false, nil
	}
	user, err := field(response)
	if err == nil {
		err = s.judge.Certificate(Prep(user))
	}
	return nil, err == nil, err
}
