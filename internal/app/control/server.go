package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/net/netutil"

	"facteur/internal/base/event"
)

// Limits of the socket.
const (
	maxRequest     = 64 << 10 // bytes of a request's JSON
	maxAlias       = 4 << 20  // of one with the targets of an alias
	maxConnections = 64
	headerTime     = 2 * time.Second // a connection that says nothing makes room soon
	requestTime    = 10 * time.Second
	answerTime     = 2 * time.Minute // but see stallTime
	idleTime       = 5 * time.Second
)

// Server answers on the control socket of a running server.
type Server struct {
	http http.Server
	path string
	done chan error
}

// Serve opens the control socket in dir, on which the caller has the Claim, and
// answers there until Close. What changes something is told to events.
func Serve(dir string, office Office, events event.Sink) (*Server, error) {
	l, err := listenSocket(dir)
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	s := &Server{path: filepath.Join(dir, socketName), done: make(chan error, 1)}
	s.http = http.Server{
		Handler:           handler(office, events),
		ReadHeaderTimeout: headerTime,
		ReadTimeout:       requestTime,
		WriteTimeout:      answerTime,
		IdleTimeout:       idleTime,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          log.New(lines{events}, "", 0),
		ConnContext:       withCaller,
	}
	go func() { s.done <- s.http.Serve(netutil.LimitListener(guard{l}, maxConnections)) }()
	return s, nil
}

// Close lets answers that are under way finish until ctx ends, and removes the
// socket.
func (s *Server) Close(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		s.http.Close()
	}
	<-s.done
	return errors.Join(err, os.Remove(s.path))
}

// lines turns the HTTP server's complaints into events.
type lines struct{ events event.Sink }

// Write implements io.Writer; each call is one line.
func (l lines) Write(line []byte) (int, error) {
	l.events.Emit(event.Note{Severity: slog.LevelWarn, Program: "facteur/control", Text: strings.TrimSpace(string(line))})
	return len(line), nil
}

func handler(o Office, events event.Sink) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("POST /tls/report", ask(func(ctx context.Context, d Day) (any, error) { return o.TLSReport(ctx, d) }))
	mux.Handle("POST /door/knock", ask(func(ctx context.Context, k Knock) (any, error) { return o.Knock(ctx, k) }))
	mux.Handle("POST /learn", ask(func(ctx context.Context, t Teaching) (any, error) { return o.Teach(ctx, t) }))
	mux.Handle("POST /learn/status", ask(func(ctx context.Context, q LearntBy) (any, error) { return o.Learnt(ctx, q) }))
	mux.Handle("POST /learn/forget", change(events, "words forgotten", o.Unlearn, func(n AccountName) string { return n.Address }))
	mux.Handle("POST /reports", ask(func(ctx context.Context, q ReportQuery) (any, error) { return o.Reports(ctx, q) }))
	mux.Handle("POST /reports/send", ask(func(ctx context.Context, s SendReports) (any, error) { return o.SendReports(ctx, s) }))
	mux.Handle("POST /accounts", ask(func(ctx context.Context, _ struct{}) (any, error) { return o.Accounts(ctx) }))
	mux.Handle("POST /accounts/add", change(events, "account added", o.AddAccount, func(a NewAccount) string { return a.Address }))
	mux.Handle("POST /accounts/passwd", change(events, "password changed", o.SetPassword, func(p NewPassword) string { return p.Address }))
	mux.Handle("POST /accounts/remove", change(events, "account removed", o.RemoveAccount, func(r Removal) string { return r.Address }))
	mux.Handle("POST /accounts/disable", change(events, "account disabled or enabled", o.SetDisabled, func(n Suspension) string { return n.Address }))
	mux.Handle("POST /accounts/apps", ask(func(ctx context.Context, n AccountName) (any, error) { return o.AppPasswords(ctx, n) }))
	mux.Handle("POST /accounts/apps/add", ask(func(ctx context.Context, n AppName) (any, error) {
		secret, err := o.AddAppPassword(ctx, n)
		if err == nil {
			events.Emit(event.Note{Program: "facteur/control", Text: "app password added", Attrs: []slog.Attr{slog.String("name", n.what())}})
		}
		return secret, err
	}))
	mux.Handle("POST /accounts/apps/remove", change(events, "app password removed", o.RemoveAppPassword, AppName.what))
	mux.Handle("POST /accounts/audit", streamed(false, o.Audit))
	mux.Handle("POST /logins/try", ask(func(ctx context.Context, a Attempt) (any, error) { return o.TryLogin(ctx, a) }))
	mux.Handle("POST /grants", ask(func(ctx context.Context, n AccountName) (any, error) { return o.Grants(ctx, n) }))
	mux.Handle("POST /grants/add", change(events, "sender address granted", o.Grant, Permission.what))
	mux.Handle("POST /grants/remove", change(events, "sender address revoked", o.Revoke, Permission.what))
	mux.Handle("POST /address", ask(func(ctx context.Context, q AddressQuestion) (any, error) { return o.Address(ctx, q) }))
	mux.Handle("POST /aliases", ask(func(ctx context.Context, _ struct{}) (any, error) { return o.Aliases(ctx) }))
	mux.Handle("POST /aliases/add", change(events, "alias added", o.AddAlias, func(n NewAlias) string { return n.Address }))
	mux.Handle("POST /aliases/remove", change(events, "alias removed", o.RemoveAlias, func(n AliasName) string { return n.Address }))
	mux.Handle("POST /domains", ask(func(ctx context.Context, _ struct{}) (any, error) { return o.Domains(ctx) }))
	mux.Handle("POST /domains/add", change(events, "domain added", o.AddDomain, func(d NewDomain) string { return d.Name }))
	mux.Handle("POST /domains/remove", change(events, "domain removed", o.RemoveDomain, func(d DomainName) string { return d.Name }))
	mux.Handle("POST /keys", ask(func(ctx context.Context, n DomainName) (any, error) { return o.Keys(ctx, n) }))
	mux.Handle("POST /keys/change", ask(func(ctx context.Context, k KeyOrder) (any, error) { return o.ChangeKeys(ctx, k) }))
	mux.Handle("POST /mailboxes", ask(func(ctx context.Context, n AccountName) (any, error) { return o.Mailboxes(ctx, n) }))
	mux.Handle("POST /mailboxes/dovecot", ask(func(ctx context.Context, n AccountName) (any, error) { return o.WriteDovecot(ctx, n) }))
	mux.Handle("POST /mailboxes/create", change(events, "mailbox created", o.CreateMailbox, MailboxName.what))
	mux.Handle("POST /mailboxes/delete", change(events, "mailbox deleted", o.DeleteMailbox, MailboxName.what))
	mux.Handle("POST /mailboxes/rename", change(events, "mailbox renamed", o.RenameMailbox, MailboxRename.what))
	mux.Handle("POST /mailboxes/rights", ask(func(ctx context.Context, n MailboxName) (any, error) { return o.MailboxRights(ctx, n) }))
	mux.Handle("POST /mailboxes/rights/set", change(events, "rights changed", o.SetMailboxRights, MailboxRights.what))
	mux.Handle("POST /mailboxes/undelete", ask(func(ctx context.Context, u Undelete) (any, error) { return o.Undelete(ctx, u) }))
	mux.Handle("POST /mailboxes/expire", ask(func(ctx context.Context, n AccountName) (any, error) { return o.Expire(ctx, n) }))
	mux.Handle("POST /mailboxes/expunge", ask(func(ctx context.Context, e Expunge) (any, error) { return o.Expunge(ctx, e) }))
	mux.Handle("POST /filter/test", ask(func(ctx context.Context, t LetterTrial) (any, error) { return o.TryLetter(ctx, t) }))
	mux.Handle("POST /filter/lists", ask(func(ctx context.Context, _ struct{}) (any, error) { return o.DNSLists(ctx) }))
	mux.Handle("POST /filter/scanners", ask(func(ctx context.Context, _ struct{}) (any, error) { return o.Scanners(ctx) }))
	mux.Handle("POST /cut", streamed(true, o.Cut))
	mux.Handle("POST /export", exportHandler(o))
	mux.Handle("POST /import", importHandler(o, events))
	mux.Handle("POST /accounts/quota", change(events, "quota changed", o.SetAllowance, func(n NewAllowance) string { return n.Address }))
	mux.Handle("POST /accounts/usage", ask(func(ctx context.Context, n AccountName) (any, error) { return o.Usage(ctx, n) }))
	mux.Handle("POST /reputation/records", ask(func(ctx context.Context, q RecordQuery) (any, error) { return o.Records(ctx, q) }))
	mux.Handle("POST /reputation/bans", ask(func(ctx context.Context, _ struct{}) (any, error) { return o.Bans(ctx) }))
	mux.Handle("POST /reputation/fares", ask(func(ctx context.Context, q Since) (any, error) { return o.Fares(ctx, q) }))
	mux.Handle("POST /reputation/ban", change(events, "banned by hand", o.BanSubject, func(b BanOrder) string { return b.Subject }))
	mux.Handle("POST /reputation/forgive", change(events, "forgiven", o.Forgive, func(n SubjectName) string { return n.Subject }))
	mux.Handle("POST /filter/policies", ask(func(ctx context.Context, q PolicyQuery) (any, error) { return o.FilterPolicies(ctx, q) }))
	mux.Handle("POST /filter/policies/change", change(events, "filter policy changed", o.ChangeFilterPolicy, func(c PolicyChange) string { return c.Match }))
	mux.Handle("POST /filter/list", ask(func(ctx context.Context, q ListQuery) (any, error) { return o.FilterList(ctx, q) }))
	mux.Handle("POST /filter/list/change", change(events, "filter list changed", o.ChangeFilterList, ListChange.what))
	mux.Handle("POST /quarantine", streamed(false, o.Quarantine))
	mux.Handle("POST /quarantine/stats", ask(func(ctx context.Context, _ struct{}) (any, error) { return o.QuarantineStats(ctx) }))
	mux.Handle("POST /quarantine/change", streamed(true, o.ChangeQuarantine))
	mux.Handle("POST /brake", ask(func(ctx context.Context, q BrakeQuery) (any, error) { return o.Brake(ctx, q.Account) }))
	mux.Handle("POST /brake/change", ask(func(ctx context.Context, b BrakeOrder) (any, error) { return o.ChangeBrake(ctx, b) }))
	mux.Handle("POST /greylist", streamed(false, o.Greylist))
	mux.Handle("POST /greylist/change", ask(func(ctx context.Context, g GreylistOrder) (any, error) { return o.ChangeGreylist(ctx, g) }))
	mux.Handle("POST /greylist/allowed", ask(func(ctx context.Context, _ struct{}) (any, error) { return o.GreylistAllowed(ctx) }))
	mux.Handle("POST /greylist/allow", change(events, "greylist exemption changed", o.AllowGreylist, func(a GreylistSubject) string { return a.Subject }))
	mux.Handle("POST /greylist/days", ask(func(ctx context.Context, _ struct{}) (any, error) { return o.GreylistDays(ctx) }))
	mux.Handle("POST /queue", streamed(false, o.Queue))
	mux.Handle("POST /queue/count", ask(func(ctx context.Context, s Selection) (any, error) { return o.CountQueue(ctx, s) }))
	mux.Handle("POST /queue/entry", ask(func(ctx context.Context, id ItemID) (any, error) { return o.Entry(ctx, id) }))
	mux.Handle("POST /queue/message", messageHandler(o))
	mux.Handle("POST /queue/change", streamed(true, o.Change))
	mux.Handle("POST /queue/shape", streamed(false, o.Shape))
	mux.Handle("POST /queue/check", streamed(true, func(ctx context.Context, _ struct{}, fn func(Damage) error) error { return o.CheckQueue(ctx, fn) }))
	return mux
}

// ask decodes the question, and encodes the answer.
func ask[In any](fn func(context.Context, In) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		in, err := decode[In](w, r)
		if err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		out, err := fn(r.Context(), in)
		if err != nil {
			refuse(w, http.StatusUnprocessableEntity, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(out) // a peer that is gone hears nothing
	}
}

// change is ask for what changes something; the log is told what, not the secret.
func change[In any](events event.Sink, what string, fn func(context.Context, In) error, subject func(In) string) http.HandlerFunc {
	return ask(func(ctx context.Context, in In) (any, error) {
		if err := fn(ctx, in); err != nil {
			return nil, err
		}
		events.Emit(event.Note{Severity: slog.LevelInfo, Program: "facteur/control", Text: what, Attrs: []slog.Attr{slog.String("name", subject(in))}})
		return struct{}{}, nil
	})
}

func messageHandler(o Office) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, err := decode[ItemID](w, r)
		if err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		body, err := o.Message(r.Context(), id)
		if err != nil {
			refuse(w, http.StatusUnprocessableEntity, err)
			return
		}
		defer body.Close()
		w.Header().Set("Content-Type", "message/rfc822")
		if _, err := io.Copy(w, body); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

// decode reads one JSON value with known keys only and nothing behind it.
func decode[In any](w http.ResponseWriter, r *http.Request) (in In, err error) {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, limitOf(r.URL.Path)))
	d.DisallowUnknownFields()
	err = d.Decode(&in)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return in, fmt.Errorf("request: it is larger than %d KiB, and no more are taken at once", large.Limit>>10)
	case err != nil:
		return in, fmt.Errorf("request: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return in, errors.New("request: more than one value")
	}
	return in, nil
}

// limitOf is how many bytes a request may have.
func limitOf(path string) int64 {
	switch path {
	case "/aliases/add":
		return maxAlias
	case "/filter/test":
		return MaxTrial/3*4 + maxRequest // in Base64
	}
	return maxRequest
}

// problem is an error on the wire.
type problem struct {
	Error string `json:"error"`
}

func refuse(w http.ResponseWriter, status int, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(problem{err.Error()})
}
