package sasl

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
)

// scramServer is the server's side of SCRAM (RFC 5802 §3):
//
//	C: gs2-header n=user,r=cnonce
//	S: r=cnonce snonce,s=salt,i=iterations
//	C: c=gs2-header and channel binding,r=nonce,p=proof
//	S: v=signature
//	C: (empty)
type scramServer struct {
	judge Judge
	hash  Hash
	plus  bool // the mechanism with channel binding was chosen

	step   byte // 0: nothing; 1: asked for the first message; 2: for the final one; 3: signed; 4: over
	header gs2
	keys   Keys
	nonce  string
	said   string // the bare first message and ours, as the proof covers them
}

func newSCRAMServer(mechanism string, j Judge) Server {
	name, plus := strings.CutSuffix(mechanism, "-PLUS")
	if j.Keys == nil || plus && len(j.Bindings) == 0 {
		return nil
	}
	h := SHA256
	if name == SCRAMSHA1 {
		h = SHA1
	}
	return &scramServer{judge: j, hash: h, plus: plus}
}

// Next implements Server.
func (s *scramServer) Next(response []byte) ([]byte, bool, error) {
	step := s.step
	s.step = 4 // unless something else follows
	switch {
	case len(response) > maxMessage:
		return nil, false, ErrSyntax
	case step == 0 && response == nil:
		s.step = 1
		return []byte{}, false, nil
	case step <= 1:
		challenge, err := s.first(string(response))
		if err != nil {
			return nil, false, err
		}
		s.step = 2
		return challenge, false, nil
	case step == 2:
		signature, err := s.final(string(response))
		if err != nil {
			return nil, false, err
		}
		s.step = 3
		return signature, false, nil
	case step == 3 && len(response) == 0:
		return nil, true, nil
	}
	return nil, false, ErrSyntax
}

// first answers the client's first message.
func (s *scramServer) first(text string) ([]byte, error) {
	header, bare, err := cutGS2(text)
	if err != nil {
		return nil, err
	}
	user, nonce, err := parseFirst(bare)
	if err != nil {
		return nil, err
	}
	if header.authzid != "" && header.authzid != user {
		return nil, ErrProxy
	}
	if err := s.bindingWanted(header); err != nil {
		return nil, err
	}
	s.header = header
	if s.keys, err = s.judge.Keys(user, s.hash); err != nil {
		return nil, err
	}
	s.nonce = nonce + s.judge.nonce()
	challenge := fmt.Sprintf("r=%s,s=%s,i=%d", s.nonce, Encode(s.keys.Salt), s.keys.Iterations)
	s.said = bare + "," + challenge
	return []byte(challenge), nil
}

// bindingWanted compares what the client says of channel binding with what we
// offered. A client that could bind, and believes that we can not, was lied to.
func (s *scramServer) bindingWanted(g gs2) error {
	switch {
	case g.flag == 'p' && !s.plus, g.flag != 'p' && s.plus:
		return ErrSyntax // RFC 5802 §6: "p" comes with -PLUS and only with it
	case g.flag == 'y' && len(s.judge.Bindings) > 0:
		return ErrBinding
	case g.flag == 'p' && !s.judge.knowsBinding(g.binding):
		return ErrBinding
	}
	return nil
}

// final checks the proof and signs.
func (s *scramServer) final(text string) ([]byte, error) {
	i := strings.LastIndex(text, ",p=")
	if i < 0 {
		return nil, ErrSyntax
	}
	unproved := text[:i]
	proof, err := base64.StdEncoding.DecodeString(text[i+len(",p="):])
	if err != nil || len(proof) != s.hash.Size() {
		return nil, ErrSyntax
	}
	bound, rest, ok := cutAttribute(unproved, "c")
	nonce, _, ok2 := cutAttribute(rest, "r")
	if !ok || !ok2 {
		return nil, ErrSyntax
	}
	if nonce != s.nonce {
		return nil, ErrWrong
	}
	if err := s.bound(bound); err != nil {
		return nil, err
	}
	message := s.said + "," + unproved
	if !s.keys.proves(message, proof) {
		return nil, ErrWrong
	}
	return []byte("v=" + Encode(s.hash.mac(s.keys.ServerKey, message))), nil
}

// bound checks the client's repetition of its header and what it sees of TLS.
func (s *scramServer) bound(text string) error {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return ErrSyntax
	}
	data, ok := bytes.CutPrefix(data, []byte(s.header.text))
	switch {
	case !ok, s.header.flag != 'p' && len(data) > 0:
		return ErrBinding
	case s.header.flag == 'p' && !s.judge.binds(s.header.binding, data):
		return ErrBinding
	}
	return nil
}

// proves says whether a proof is that of the password (RFC 5802 §3).
func (k Keys) proves(message string, proof []byte) bool {
	client := make([]byte, len(proof))
	subtle.XORBytes(client, proof, k.Hash.mac(k.StoredKey, message))
	return hmac.Equal(k.Hash.sum(client), k.StoredKey)
}

// nonce is our part of a nonce.
func (j Judge) nonce() string {
	if j.Nonce != "" {
		return j.Nonce
	}
	return makeNonce()
}

func makeNonce() string {
	var b [18]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// gs2 is the beginning of a client's first message (RFC 5801 §4), of SCRAM and of
// OAUTHBEARER.
type gs2 struct {
	flag    byte   // 'n', 'y' or 'p'
	binding string // with 'p', the type
	authzid string
	text    string // all of it, with both commas
}

// cutGS2 divides a first message.
func cutGS2(text string) (g gs2, rest string, err error) {
	flag, after, ok := strings.Cut(text, ",")
	authzid, rest, ok2 := strings.Cut(after, ",")
	if !ok || !ok2 {
		return gs2{}, "", ErrSyntax
	}
	switch {
	case flag == "n", flag == "y":
	case strings.HasPrefix(flag, "p=") && len(flag) > 2:
		g.binding = flag[2:]
	default:
		return gs2{}, "", ErrSyntax
	}
	g.flag, g.text = flag[0], text[:len(text)-len(rest)]
	if authzid == "" {
		return g, rest, nil
	}
	name, ok := strings.CutPrefix(authzid, "a=")
	if !ok {
		return gs2{}, "", ErrSyntax
	}
	g.authzid, err = saslName(name)
	return g, rest, err
}

// parseFirst reads "n=user,r=nonce"; extensions after it are ignored, one before
// it ("m=") must not be (RFC 5802 §5.1).
func parseFirst(bare string) (user, nonce string, err error) {
	name, rest, ok := cutAttribute(bare, "n")
	nonce, _, ok2 := cutAttribute(rest, "r")
	if !ok || !ok2 || !printable(nonce) {
		return "", "", ErrSyntax
	}
	user, err = saslName(name)
	return user, nonce, err
}

// cutAttribute takes the attribute called name from the front of a message.
func cutAttribute(text, name string) (value, rest string, ok bool) {
	head, rest, _ := strings.Cut(text, ",")
	value, ok = strings.CutPrefix(head, name+"=")
	return value, rest, ok
}

// printable is what a nonce is made of; a comma ended it before.
func printable(nonce string) bool {
	return nonce != "" && !strings.ContainsFunc(nonce, func(r rune) bool { return r <= ' ' || r > '~' })
}

// saslName reads a name in which "," and "=" are escaped. An escape that is none
// is an error, so that no two names are confused.
func saslName(text string) (string, error) {
	name, err := field([]byte(text))
	if err != nil || name == "" {
		return "", ErrSyntax
	}
	for i := 0; i < len(name); i++ {
		if name[i] == '=' && !strings.HasPrefix(name[i:], "=2C") && !strings.HasPrefix(name[i:], "=3D") {
			return "", ErrSyntax
		}
	}
	return Prep(strings.NewReplacer("=2C", ",", "=3D", "=").Replace(name)), nil
}
