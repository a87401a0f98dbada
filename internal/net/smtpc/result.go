package smtpc

import (
	"errors"
	"fmt"
	"net"

	"facteur/internal/base/event"
	"facteur/internal/mail/smtp"
)

// Stage is a step of the conversation.
type Stage uint8

// The stages, in their order.
const (
	StageConnect Stage = iota
	StageGreeting
	StageHello
	StageStartTLS
	StageAuth
	StageMail
	StageRecipient
	StageData // the DATA command and the sending of the message
	StageEnd  // the reply to the end of the data
	StageReset
	StageQuit
)

// String is the stage as log lines name it.
func (s Stage) String() string {
	names := [...]string{"connect", "greeting", "EHLO", "STARTTLS", "AUTH", "MAIL FROM", "RCPT TO", "DATA", "end of DATA", "RSET", "QUIT"}
	if int(s) < len(names) {
		return names[s]
	}
	return "unknown stage"
}

// Result is what became of one recipient.
type Result struct {
	// Stage is where it was decided.
	Stage Stage
	// Reply is the peer's, or one made here when Err is set. Never nil.
	Reply *smtp.Reply
	// Err is why Reply was made here; nil when the peer said it.
	Err error
}

// Delivered tells whether the peer has taken the message for this recipient.
func (r Result) Delivered() bool {
	return r.Err == nil && r.Stage == StageEnd && positive(r.Reply)
}

// Results is what became of a message.
type Results struct {
	// Recipients are in the order of the envelope.
	Recipients []Result
	// Stale: send it again on a new connection, as the same attempt, with the body
	// from its start. The connection had been kept from an earlier message, and the
	// peer had no more use for it; or it did not understand BDAT, which is known now.
	// Nothing was said about this message.
	Stale bool
}

// Failure is why there is no connection. Its Reply is the peer's when Err is nil.
type Failure struct {
	Result
	// Peer is "host[address]:port" of the last address that was tried.
	Peer string
	// Attempts are all addresses that were tried; only Dial sets it.
	Attempts []Attempt

	session bool // an old TLS session may be the reason
	overTLS bool // the handshake went well, and nothing came of it
}

// Error says it with the peer's name in front.
func (f *Failure) Error() string {
	if f.Err != nil {
		return f.Reply.Text()
	}
	return fmt.Sprintf("host %s refused at %s: %v", f.Peer, f.Stage, f.Reply)
}

// Unwrap gives Err to errors.Is.
func (f *Failure) Unwrap() error { return f.Err }

// Why a reply was made here. Test with errors.Is.
var (
	// ErrProtocol: the peer broke the rules, so that nothing it said counts. 4yz.
	ErrProtocol = errors.New("protocol error")
	// ErrLost: the connection broke or the peer was silent for too long. 4yz.
	ErrLost = errors.New("connection lost")
	// ErrNotPermitted: the address is one that may not be connected to. 4yz.
	ErrNotPermitted = errors.New("address not permitted")
	// ErrNoTLS: the TLS that is required was not to be had. 4yz.
	ErrNoTLS = errors.New("required TLS not available")
	// ErrNotOffered: the peer does not offer the TLS that is required; an ErrNoTLS. 4yz.
	ErrNotOffered = errors.New("peer does not offer STARTTLS")
	// ErrAuth: the log-in failed or is not possible. 4yz: it is no fault of the message.
	ErrAuth = errors.New("log-in failed")
	// ErrChunking: the peer does not understand BDAT, which it offers. 4yz.
	ErrChunking = errors.New("host offers CHUNKING and does not understand it")
	// ErrBody: our own message could not be read to its end. 4yz.
	ErrBody = errors.New("message unreadable")
	// ErrTooLarge: the peer takes no message of this size. 552 5.3.4.
	ErrTooLarge = errors.New("message too large for the peer")
	// ErrNeeds8Bit: an 8-bit message and a peer without 8BITMIME. 554 5.6.3.
	ErrNeeds8Bit = errors.New("peer takes no 8-bit message")
	// ErrNeedsUTF8: an internationalised message or address, and a peer without
	// SMTPUTF8. 553 5.6.7.
	ErrNeedsUTF8 = errors.New("peer takes no internationalised mail")
	// ErrNeedsBinary: a binary message and a peer without CHUNKING and BINARYMIME.
	// 554 5.6.3.
	ErrNeedsBinary = errors.New("peer takes no binary message")
	// ErrNeedsTLS: a message with REQUIRETLS, and a peer without it, or one that has
	// not proved its name. 550 5.7.30.
	ErrNeedsTLS = errors.New("peer does not promise TLS")
	// ErrDeadline: a message that has to come back after a time, and a peer that does
	// not promise it. 554 5.4.7.
	ErrDeadline = errors.New("peer promises no delivery in time")
	// ErrAddress: an address that can not be written in a command. 553 5.1.3.
	ErrAddress = errors.New("address can not be sent")
)

// deferred makes a temporary result for err, in the words of the log.
func deferred(stage Stage, peer string, err error) Result {
	code, enhanced, text := 451, "4.3.0", err.Error()
	switch {
	case errors.Is(err, ErrProtocol), errors.Is(err, ErrChunking):
		enhanced, text = "4.5.0", fmt.Sprintf("%v with %s at %s", err, peer, stage)
	case errors.Is(err, ErrNoTLS), errors.Is(err, ErrAuth):
		enhanced, text = "4.7.0", fmt.Sprintf("host %s: %v", peer, err)
	case errors.Is(err, ErrNotPermitted):
		enhanced, text = "4.4.4", fmt.Sprintf("host %s: %v", peer, err)
	case errors.Is(err, ErrBody):
	case stage == StageConnect:
		enhanced, text = "4.4.1", fmt.Sprintf("connect to %s: %s", peer, event.Reason(err))
	case timedOut(err):
		enhanced, text = "4.4.2", fmt.Sprintf("conversation with %s timed out at %s", peer, stage)
		err = fmt.Errorf("%w: %w", ErrLost, err)
	default:
		enhanced, text = "4.4.2", fmt.Sprintf("lost connection with %s at %s", peer, stage)
		err = fmt.Errorf("%w: %w", ErrLost, err)
	}
	if stage == StageEnd {
		text += "; it is not known whether the message was taken"
	}
	return Result{Stage: stage, Reply: smtp.NewReply(code, enhanced, clean(text)), Err: err}
}

func timedOut(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func positive(r *smtp.Reply) bool     { return r.Code/100 == 2 }
func intermediate(r *smtp.Reply) bool { return r.Code/100 == 3 }
func negative(r *smtp.Reply) bool     { return r.Temporary() || r.Permanent() }
func closing(r *smtp.Reply) bool      { return r.Code == 421 }
