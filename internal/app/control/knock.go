package control

import (
	"context"
	"fmt"
)

// KnockMost is how many envelopes one Knock may try.
const KnockMost = 40

// Knock asks what strangers are answered at the door for other servers. There is no DATA:
// nothing is taken.
type Knock struct {
	Tries []Envelope `json:"tries"`
}

// Envelope is a reverse-path and a forward-path, without their brackets. They are said as
// they are.
type Envelope struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Knocked is the answers.
type Knocked struct {
	// Closed: no server runs that could answer.
	Closed bool `json:"closed,omitempty"`
	// Replies are one to each envelope.
	Replies []KnockReply `json:"replies"`
}

// KnockReply is the reply to RCPT, or to MAIL where there it ended; Code is 0 where the
// session ended without one.
type KnockReply struct {
	Code int    `json:"code"`
	Text string `json:"text"`
}

// Door says who tries the door; it is for the server, which has one.
func (s *Stores) Door(knock func(context.Context, []Envelope) ([]KnockReply, error)) *Stores {
	s.knock = knock
	return s
}

// Knock implements Office.
func (s *Stores) Knock(ctx context.Context, k Knock) (Knocked, error) {
	if s.knock == nil {
		return Knocked{Closed: true}, nil
	}
	if len(k.Tries) > KnockMost {
		return Knocked{}, fmt.Errorf("at most %d envelopes can be tried at once", KnockMost)
	}
	replies, err := s.knock(ctx, k.Tries)
	return Knocked{Replies: replies}, err
}

// Knock implements Office.
func (c *client) Knock(ctx context.Context, k Knock) (answer Knocked, err error) {
	err = c.call(ctx, "/door/knock", k, &answer)
	return answer, err
}
