package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"facteur/internal/store/directory"
	"facteur/internal/store/tlsreport"
)

// client is the Office of a server that runs.
type client struct{ http http.Client }

func newClient(dir string) *client {
	return &client{http.Client{Transport: &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dialSocket(ctx, dir) },
		DisableKeepAlives: true,
	}}}
}

// TLSReport implements Office.
func (c *client) TLSReport(ctx context.Context, d Day) (list []tlsreport.Policy, err error) {
	err = c.call(ctx, "/tls/report", d, &list)
	return list, err
}

// Accounts implements Office.
func (c *client) Accounts(ctx context.Context) (list []directory.Account, err error) {
	err = c.call(ctx, "/accounts", struct{}{}, &list)
	return list, err
}

// AddAccount implements Office.
func (c *client) AddAccount(ctx context.Context, a NewAccount) error {
	return c.call(ctx, "/accounts/add", a, nil)
}

// SetPassword implements Office.
func (c *client) SetPassword(ctx context.Context, p NewPassword) error {
	return c.call(ctx, "/accounts/passwd", p, nil)
}

// RemoveAccount implements Office.
func (c *client) RemoveAccount(ctx context.Context, r Removal) error {
	return c.call(ctx, "/accounts/remove", r, nil)
}

// Domains implements Office.
func (c *client) Domains(ctx context.Context) (list []directory.Domain, err error) {
	err = c.call(ctx, "/domains", struct{}{}, &list)
	return list, err
}

// AddDomain implements Office.
func (c *client) AddDomain(ctx context.Context, d NewDomain) error {
	return c.call(ctx, "/domains/add", d, nil)
}

// RemoveDomain implements Office.
func (c *client) RemoveDomain(ctx context.Context, d DomainName) error {
	return c.call(ctx, "/domains/remove", d, nil)
}

// Queue implements Office.
func (c *client) Queue(ctx context.Context, s Selection, fn func(Entry) error) error {
	return readStream(ctx, c, "/queue", s, fn)
}

// CountQueue implements Office.
func (c *client) CountQueue(ctx context.Context, s Selection) (n Count, err error) {
	err = c.call(ctx, "/queue/count", s, &n)
	return n, err
}

// Entry implements Office.
func (c *client) Entry(ctx context.Context, id ItemID) (e Entry, err error) {
	err = c.call(ctx, "/queue/entry", id, &e)
	return e, err
}

// Message implements Office.
func (c *client) Message(ctx context.Context, id ItemID) (io.ReadCloser, error) {
	return c.post(ctx, "/queue/message", id)
}

// Change implements Office.
func (c *client) Change(ctx context.Context, o Order, told func(Progress) error) error {
	return readStream(ctx, c, "/queue/change", o, told)
}

// Shape implements Office.
func (c *client) Shape(ctx context.Context, s Shape, fn func(Row) error) error {
	return readStream(ctx, c, "/queue/shape", s, fn)
}

// CheckQueue implements Office.
func (c *client) CheckQueue(ctx context.Context, fn func(Damage) error) error {
	return readStream(ctx, c, "/queue/check", struct{}{}, fn)
}

// call asks, and decodes the answer into out unless that is nil.
func (c *client) call(ctx context.Context, path string, in, out any) error {
	body, err := c.post(ctx, path, in)
	if err != nil {
		return err
	}
	defer body.Close()
	if out == nil {
		return nil
	}
	return json.NewDecoder(body).Decode(out)
}

// post asks, and gives the bytes of the answer.
func (c *client) post(ctx context.Context, path string, in any) (io.ReadCloser, error) {
	answer, err := c.ask(ctx, path, in)
	if err != nil {
		return nil, err
	}
	return answer.Body, nil
}

// ask sends a question and gives the answer, or the server's refusal as an error.
func (c *client) ask(ctx context.Context, path string, in any) (*http.Response, error) {
	question, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	return c.send(ctx, path, bytes.NewReader(question))
}

// stream sends a body as it comes, and gives the bytes of the answer.
func (c *client) stream(ctx context.Context, path string, body io.Reader) (io.ReadCloser, error) {
	answer, err := c.send(ctx, path, body)
	if err != nil {
		return nil, err
	}
	return answer.Body, nil
}

func (c *client) send(ctx context.Context, path string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://facteur"+path, body)
	if err != nil {
		return nil, err
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode == http.StatusOK {
		return answer, nil
	}
	defer answer.Body.Close()
	var p problem
	if json.NewDecoder(io.LimitReader(answer.Body, maxRequest)).Decode(&p) != nil || p.Error == "" {
		return nil, fmt.Errorf("the server answers %s", answer.Status)
	}
	return nil, errors.New(p.Error)
}
