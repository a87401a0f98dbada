package sasl

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // the mechanism is what it is; it is off unless asked for
	"encoding"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
)

// MD5Context is what a server keeps of a password for CRAM-MD5: the state of both
// halves of HMAC-MD5 after the key (RFC 2195 §3). For this mechanism it is as good
// as the password.
type MD5Context struct{ inner, outer [md5.Size]byte }

// MakeMD5Context makes the context of a password.
func MakeMD5Context(password string) MD5Context {
	key := []byte(Prep(password))
	if len(key) > md5.BlockSize {
		sum := md5.Sum(key)
		key = sum[:]
	}
	return MD5Context{inner: keyed(key, 0x36), outer: keyed(key, 0x5c)}
}

// keyed is the state of MD5 after the key, padded and masked (RFC 2104 §2).
func keyed(key []byte, mask byte) (state [md5.Size]byte) {
	block := make([]byte, md5.BlockSize)
	copy(block, key)
	for i := range block {
		block[i] ^= mask
	}
	h := md5.New()
	h.Write(block)
	saved, err := h.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		panic(err) // documented never to fail
	}
	copy(state[:], saved[len(md5Magic):])
	return state
}

// md5Magic begins a saved state of crypto/md5; the chaining value follows it, then
// the block that is not yet full, and the length so far.
const md5Magic = "md5\x01"

func resume(state [md5.Size]byte) hash.Hash {
	saved := append([]byte(md5Magic), state[:]...)
	saved = append(saved, make([]byte, md5.BlockSize)...)
	saved = binary.BigEndian.AppendUint64(saved, md5.BlockSize)
	h := md5.New()
	if err := h.(encoding.BinaryUnmarshaler).UnmarshalBinary(saved); err != nil {
		panic(err) // the form is our own; a test compares with crypto/hmac
	}
	return h
}

func (c MD5Context) mac(text []byte) []byte {
	inner, outer := resume(c.inner), resume(c.outer)
	inner.Write(text)
	outer.Write(inner.Sum(nil))
	return outer.Sum(nil)
}

// Format implements fmt.Formatter: a context is not printed.
func (c MD5Context) Format(f fmt.State, _ rune) { f.Write([]byte("{CRAM-MD5 ***}")) }

// Encode is the form in which a context is kept, in hexadecimal.
func (c MD5Context) Encode() string {
	return hex.EncodeToString(append(bytes.Clone(c.inner[:]), c.outer[:]...))
}

// ParseMD5Context reads what Encode wrote.
func ParseMD5Context(text string) (c MD5Context, err error) {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 2*md5.Size {
		return MD5Context{}, errKeys
	}
	copy(c.inner[:], b)
	copy(c.outer[:], b[md5.Size:])
	return c, nil
}

// cramServer asks for HMAC-MD5 of a text that is new each time.
type cramServer struct {
	judge     Judge
	challenge []byte
}

// Next implements Server. An initial response is not part of the mechanism.
func (s *cramServer) Next(response []byte) ([]byte, bool, error) {
	if s.challenge == nil {
		if len(response) > 0 {
			return nil, false, ErrSyntax
		}
		s.challenge = []byte("<" + s.judge.nonce() + "@" + s.judge.Hostname + ">")
		return s.challenge, false, nil
	}
	i := bytes.LastIndexByte(response, ' ')
	if i < 0 {
		return nil, false, ErrSyntax
	}
	user, err := field(response[:i])
	digest := make([]byte, md5.Size)
	if n, e := hex.Decode(digest, response[i+1:min(len(response), i+1+2*md5.Size)]); err != nil || user == "" || e != nil ||
		n != md5.Size || len(response) != i+1+2*md5.Size {
		return nil, false, ErrSyntax
	}
	context, err := s.judge.Context(Prep(user))
	if err == nil && !hmac.Equal(context.mac(s.challenge), digest) {
		err = ErrWrong
	}
	return nil, err == nil, err
}

// CRAM is the client's answer to the challenge of CRAM-MD5.
func CRAM(c Credentials, challenge []byte) []byte {
	m := hmac.New(md5.New, []byte(Prep(c.Password)))
	m.Write(challenge)
	return []byte(c.User + " " + hex.EncodeToString(m.Sum(nil)))
}
