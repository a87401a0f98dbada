package control

import (
	"context"
	"encoding/binary"
	"errors"

	"facteur/internal/flow/learn"
	"facteur/internal/store/correspondent"
	"facteur/internal/store/lexicon"
)

// Teaching is what an admin says of a letter.
type Teaching struct {
	// Account is whose words learn; "" for those of the server.
	Account string `json:"account"`
	Spam    bool   `json:"spam"`
	// Forget takes back what was said; Spam says nothing then.
	Forget bool `json:"forget,omitempty"`
	// Letter is its ID, 16 bytes, Tokens the tokens, eight bytes each, the low ones first.
	Letter    []byte `json:"letter"`
	Tokens    []byte `json:"tokens"`
	MessageID string `json:"message_id,omitempty"`
}

// Teach makes a Teaching of a letter that was read.
func Teach(account string, l *learn.Letter, isSpam, forget bool) Teaching {
	t := Teaching{Account: account, Spam: isSpam, Forget: forget, Letter: l.ID[:], MessageID: l.Facts.MessageID, Tokens: make([]byte, 0, 8*len(l.Tokens))}
	for _, token := range l.Tokens {
		t.Tokens = binary.LittleEndian.AppendUint64(t.Tokens, token)
	}
	return t
}

// Taught is what came of it.
type Taught struct {
	// Outcome is "learnt", "same", "turned", "undone" or "refused".
	Outcome string `json:"outcome"`
}

// LearntBy asks what an account has learnt; "" asks for all, and the server.
type LearntBy struct {
	Account string `json:"account"`
	Server  bool   `json:"server,omitempty"` // only the server
}

// Learning says who teaches, and where what was learnt is kept.
func (s *Stores) Learning(t *learn.Teacher, l *lexicon.Store, c *correspondent.Store) *Stores {
	s.teacher, s.lexicon, s.correspondents = t, l, c
	return s
}

// student is the owner of words by the name that an admin gave it.
func (s *Stores) student(ctx context.Context, name string) (string, error) {
	if name == "" {
		return lexicon.Server, nil
	}
	a, err := s.account(ctx, name)
	return a.Address, err
}

// Teach implements Office.
func (s *Stores) Teach(ctx context.Context, t Teaching) (Taught, error) {
	owner, err := s.student(ctx, t.Account)
	if err != nil {
		return Taught{}, err
	}
	letter := &learn.Letter{Facts: learn.Facts{MessageID: t.MessageID}}
	if len(t.Letter) != len(letter.ID) || len(t.Tokens)%8 != 0 {
		return Taught{}, errors.New("that is no letter to learn from")
	}
	copy(letter.ID[:], t.Letter)
	for b := t.Tokens; len(b) > 0; b = b[8:] {
		letter.Tokens = append(letter.Tokens, binary.LittleEndian.Uint64(b))
	}
	o, err := s.teacher.Teach(ctx, learn.Lesson{Account: owner, Letter: letter, Spam: t.Spam, Forget: t.Forget, Way: learn.Command})
	return Taught{o.String()}, err
}

// Learnt implements Office.
func (s *Stores) Learnt(ctx context.Context, q LearntBy) ([]lexicon.Standing, error) {
	if q.Account == "" && !q.Server {
		return s.lexicon.List(ctx)
	}
	owner, err := s.student(ctx, q.Account)
	if err != nil {
		return nil, err
	}
	st, err := s.lexicon.Standing(owner)
	return []lexicon.Standing{st}, err
}

// Unlearn implements Office.
func (s *Stores) Unlearn(ctx context.Context, n AccountName) error {
	owner, err := s.student(ctx, n.Address)
	if err != nil {
		return err
	}
	return s.lexicon.Remove(ctx, owner)
}

// Teach implements Office.
func (c *client) Teach(ctx context.Context, t Teaching) (out Taught, err error) {
	err = c.call(ctx, "/learn", t, &out)
	return out, err
}

// Learnt implements Office.
func (c *client) Learnt(ctx context.Context, q LearntBy) (list []lexicon.Standing, err error) {
	err = c.call(ctx, "/learn/status", q, &list)
	return list, err
}

// Unlearn implements Office.
func (c *client) Unlearn(ctx context.Context, n AccountName) error {
	return c.call(ctx, "/learn/forget", n, nil)
}
