package login

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"time"

	"facteur/internal/base/limit"
	"facteur/internal/base/lookup"
	"facteur/internal/mail/address"
	"facteur/internal/mail/sasl"
	"facteur/internal/store/directory"
)

// Exchange is one SASL exchange. It belongs to one goroutine.
type Exchange struct {
	gate      *Gate
	rules     *Rules
	ctx       context.Context
	peer      Peer
	mechanism string
	machine   sasl.Server

	user    string // as the client wrote it
	secret  string // what it showed, for the counting of repetitions
	try     limit.LoginTry
	holder  *directory.Holder // whose keys it has to know
	account directory.Account
	told    bool      // the client knows that its secret is right
	asked   time.Time // when the response came that is looked at
}

// Next takes the client's response, nil when it sent none with its command, and
// gives the next challenge. When it is done, Account is who came in. After a
// Refusal the exchange is over; it has waited where guessing is to be slow.
func (x *Exchange) Next(response []byte) (challenge []byte, done bool, refusal *Refusal) {
	x.asked = time.Now()
	// SCRAM tells with its last challenge that the proof was right.
	err := limited(x.try.Over())
	if err == nil {
		challenge, done, err = x.machine.Next(response)
	}
	if done {
		err = x.admit()
	}
	x.told = x.told || signed(x.mechanism, challenge)
	if err != nil {
		return nil, false, x.refuse(err)
	}
	return challenge, done, nil
}

// signed tells SCRAM's last challenge, which proves to the client that we know its
// secret, and so that it does (RFC 5802 §7: "v=", where the first begins with "r=").
func signed(mechanism string, challenge []byte) bool {
	return strings.HasPrefix(mechanism, "SCRAM-") && bytes.HasPrefix(challenge, []byte("v="))
}

// Told says whether the client has learned that its secret is right, however the
// exchange goes on.
func (x *Exchange) Told() bool { return x.told }

// Fail ends the exchange for what Decode said of a response, or the door of its
// length.
func (x *Exchange) Fail(err error) *Refusal { return x.refuse(err) }

// Account is who came in, once Next was done.
func (x *Exchange) Account() directory.Account { return x.account }

// User is the name that the client gave, for the log; "" before it gave one.
func (x *Exchange) User() string { return x.user }

// Mechanism is the name of the mechanism.
func (x *Exchange) Mechanism() string { return x.mechanism }

// Close forgets the exchange, finished or not.
func (x *Exchange) Close() {
	x.try, x.secret = limit.LoginTry{}, ""
}

// judge is what the machine asks.
func (x *Exchange) judge() sasl.Judge {
	j := sasl.Judge{
		Password: x.password, Keys: x.keys, Context: x.context, Token: x.token, Certificate: x.certificate,
		Hostname: x.rules.Hostname,
	}
	if strings.HasPrefix(x.mechanism, "SCRAM-") {
		j.Bindings = x.gate.bindings(x.rules, x.peer)
	}
	return j
}

// enter asks whether this client may try this name now.
func (x *Exchange) enter(user string) error {
	x.user = user
	try, reason := x.gate.house.Logins.Try(x.rules.Limits, x.peer.Addr, x.named(user), x.blind())
	x.try = try
	return limited(reason)
}

// blind tells that the mechanism does not show us the secret.
func (x *Exchange) blind() bool {
	return x.mechanism == sasl.CRAMMD5 || strings.HasPrefix(x.mechanism, "SCRAM-")
}

// limited is the error of a reason of limit.Logins; nil for none.
func limited(reason string) error {
	if reason == "" {
		return nil
	}
	return &Refusal{Reason: Limited, Err: errors.New(reason)}
}

// named is a login name in one form for all its spellings.
func (x *Exchange) named(user string) string {
	if name := x.gate.house.Accounts.Name; name != nil {
		user = name(user)
	}
	if a, err := address.Parse(user); err == nil {
		return a.Key()
	}
	return strings.ToLower(user)
}

func (x *Exchange) password(c sasl.Credentials) error {
	if err := x.enter(c.User); err != nil {
		return err
	}
	x.secret = c.Password
	return x.take(x.gate.house.Accounts.Password(x.ctx, x.peer.Service, c.User, c.Password))
}

func (x *Exchange) keys(user string, h sasl.Hash) (sasl.Keys, error) {
	if err := x.enter(user); err != nil {
		return sasl.Keys{}, err
	}
	keys, holder, err := x.gate.house.Accounts.Keys(x.ctx, user, h)
	x.holder = &holder
	return keys, unsure(err)
}

func (x *Exchange) context(user string) (sasl.MD5Context, error) {
	if err := x.enter(user); err != nil {
		return sasl.MD5Context{}, err
	}
	c, holder, err := x.gate.house.Accounts.Context(x.ctx, user)
	x.holder = &holder
	return c, unsure(err)
}

// token asks whose a token is. One for somebody else than the client says it is
// lets nobody in.
func (x *Exchange) token(user, token string) error {
	if err := x.enter(user); err != nil {
		return err
	}
	x.secret = token
	whose := x.rules.Token(x.ctx, token)
	switch whose.State() {
	case lookup.NotFound:
		return sasl.ErrWrong
	case lookup.TryAgain:
		return unsure(whose.Err())
	}
	if x.user = whose.Value(); user != "" && x.named(user) != x.named(x.user) {
		return sasl.ErrWrong
	}
	return x.take(x.gate.house.Accounts.Vouched(x.ctx, x.user))
}

// certificate lets in whose name stands in the certificate of the connection.
func (x *Exchange) certificate(user string) error {
	names := x.rules.Certificates.names(x.peer.TLS, time.Now())
	x.user = user
	err := error(sasl.ErrWrong)
	for _, name := range names {
		if user != "" && x.named(user) != x.named(name) {
			continue
		}
		x.user = name
		if err = x.take(x.gate.house.Accounts.Vouched(x.ctx, name)); !errors.Is(err, sasl.ErrWrong) {
			return err
		}
	}
	return err
}

// take makes three answers an account or an error.
func (x *Exchange) take(a lookup.Answer[directory.Account]) error {
	switch a.State() {
	case lookup.Found:
		x.account = a.Value()
		return nil
	case lookup.NotFound:
		return sasl.ErrWrong
	}
	return unsure(a.Err())
}

// unsure is an error of ours; nil for none.
func unsure(err error) error {
	if err == nil {
		return nil
	}
	return &Refusal{Reason: Later, Err: err}
}

// admit is the end of an exchange in which everything was right. Who proved to know
// the keys is looked at once more: the password may have changed meanwhile.
func (x *Exchange) admit() error {
	accounts := x.gate.house.Accounts
	if x.holder != nil {
		if err := x.take(accounts.Admit(x.ctx, *x.holder)); err != nil {
			return err
		}
	}
	if !x.account.Admits(x.peer.Addr) {
		return sasl.ErrWrong // not from there, and nobody learns that the rest was right
	}
	if bars := x.gate.house.Bars; bars != nil {
		if why := bars(x.peer.Service, x.account.Address); why != "" {
			return &Refusal{Reason: Barred, Err: errors.New(why)}
		}
	}
	network, fresh, reason := x.try.Passed()
	if reason != "" {
		return limited(reason)
	}
	if fresh {
		// Forgetting it costs the owner something only while somebody guesses at the
		// account, after a restart: no reason to turn him away now.
		accounts.Remember(x.ctx, x.account.Address, network, time.Now()) //nolint:errcheck // see above
	}
	x.try = limit.LoginTry{}
	return nil
}

// refuse makes a Refusal of what went wrong, counts it and waits.
func (x *Exchange) refuse(err error) *Refusal {
	r := refusalOf(err)
	if r.Reason == Wrong {
		if over := limited(x.try.Failed(x.secret)); over != nil {
			r = refusalOf(over)
		}
	}
	r.User = x.user
	r.Told = x.told && (r.Reason == Canceled || r.Reason == Malformed)
	x.Close()
	if r.Reason == Wrong || r.Reason == Limited {
		x.wait()
	}
	return r
}

// wait makes guessing slow, and is over a whole number of delays after the question came:
// what the look took, at our own tables or at a directory far away, is not seen in it
// (ABU-012).
func (x *Exchange) wait() {
	if x.rules.Delay <= 0 {
		return
	}
	t := time.NewTimer(x.rules.Delay - time.Since(x.asked)%x.rules.Delay)
	defer t.Stop()
	select {
	case <-t.C:
	case <-x.ctx.Done():
	}
}
