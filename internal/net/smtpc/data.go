package smtpc

import (
	"fmt"
	"io"
)

// message sends the data after the 354 and settles by the reply to their end.
func (t *transaction) message(source *sourceReader) error {
	if t.c.r.Buffered() > 0 {
		return t.c.violated("it spoke between 354 and the data")
	}
	switch {
	case t.anyOpen():
	case t.c.cfg.LMTP: // RFC 2033 §4.2 has 503 for this; whether a reply will come is anybody's guess
		return t.c.violated("reply 354 without a recipient")
	default:
		source.r = eof{} // the shortest message is none (RFC 2920 §3.1)
	}
	if err := t.data(source); err != nil {
		return err
	}
	return t.verdict()
}

// data sends the message and the dot. Without the dot there is no message: that
// is what a failure on our side, or a peer that answers too early, comes to.
func (t *transaction) data(source *sourceReader) error {
	dots := &t.c.dots
	dots.Reset(t.c.w)
	_, err := io.CopyBuffer(dots, source, t.c.buffer(copySize))
	switch {
	case source.err != nil:
		err = fmt.Errorf("%w: %w", ErrBody, source.err)
		t.c.broken = err
	case t.c.spoke():
		err = t.early()
	case err == nil:
		if err = dots.Close(); err == nil {
			err = t.c.w.Flush()
		}
	}
	if err != nil {
		if t.c.broken == nil {
			t.c.broken = err
		}
		return t.lost(StageData, err)
	}
	return nil
}

// copySize is how much of the message is taken at a time.
const copySize = 16 << 10

// early makes the error for a reply that came before the end of the data. It may
// be an honest "too large", or one reply too many before: it can not be known, so
// it is quoted and not obeyed.
func (t *transaction) early() error {
	reply, err := t.c.reply(StageData)
	if err != nil {
		return err
	}
	return t.c.violated("it answered before the end of the message: %v", reply)
}
