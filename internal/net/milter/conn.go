package milter

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// Config is one milter. Times that are zero or less get their default, which is
// Postfix's.
type Config struct {
	// Name is the milter as logs call it: "inet:localhost:8891".
	Name string
	// Network and Address are what net.Dial takes.
	Network, Address string
	// ConnectTimeout is for the connection and the negotiation (30 s),
	// CommandTimeout for each answer before the message (30 s), ContentTimeout for
	// each answer about it (300 s). The context bounds all of them.
	ConnectTimeout, CommandTimeout, ContentTimeout time.Duration
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&c.ConnectTimeout, 30 * time.Second}, {&c.CommandTimeout, 30 * time.Second}, {&c.ContentTimeout, 300 * time.Second}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	return c
}

// Conn is a connection to a milter, for one SMTP dialogue. Any error ends it. It
// belongs to one goroutine.
type Conn struct {
	cfg  Config
	nc   net.Conn
	r    *bufio.Reader
	w    *bufio.Writer
	opts options
}

// Dial connects and negotiates.
func Dial(ctx context.Context, cfg Config) (*Conn, error) {
	cfg = cfg.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, cfg.ConnectTimeout)
	defer cancel()
	var d net.Dialer
	nc, err := d.DialContext(ctx, cfg.Network, cfg.Address)
	if err != nil {
		return nil, err
	}
	c := newConn(nc, cfg)
	if err := c.within(ctx, cfg.ConnectTimeout, c.negotiate); err != nil {
		return nil, fmt.Errorf("negotiation: %w", err)
	}
	return c, nil
}

func newConn(nc net.Conn, cfg Config) *Conn {
	return &Conn{cfg: cfg, nc: nc, r: bufio.NewReader(nc), w: bufio.NewWriter(nc)}
}

func (c *Conn) negotiate() error {
	writePacket(c.w, cmdOptNeg, offer())
	if err := c.w.Flush(); err != nil {
		return err
	}
	code, n, err := readHead(c.r)
	if err != nil {
		return err
	}
	if code != cmdOptNeg {
		return errMalformed
	}
	data, err := readData(c.r, n)
	if err == nil {
		c.opts, err = parseOptions(data)
	}
	return err
}

// within runs one step with its deadline, and closes the connection when it fails.
func (c *Conn) within(ctx context.Context, limit time.Duration, step func() error) error {
	if c.r.Buffered() > 0 {
		c.nc.Close()
		return errUnasked
	}
	deadline := time.Now().Add(limit)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	c.nc.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { c.nc.SetDeadline(time.Unix(1, 0)) })
	err := step()
	if !stop() && err == nil {
		err = ctx.Err() // the deadline may be spoilt for the next step
	}
	if err != nil {
		c.nc.Close()
		if ctx.Err() != nil {
			err = errors.Join(ctx.Err(), err)
		}
	}
	return err
}

// again gives the milter as much time as at first.
func (c *Conn) again(ctx context.Context, limit time.Duration) {
	deadline := time.Now().Add(limit)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if ctx.Err() == nil {
		c.nc.SetDeadline(deadline)
	}
}

// step is a command with what the milter may have said of it in the negotiation.
type step struct {
	cmd          byte
	unwanted, nr uint32
	at           stage
	macros       Macros
	data         []byte
}

// send writes a step and, if it is to be answered, reads the answer.
func (c *Conn) send(ctx context.Context, limit time.Duration, s step) (v Verdict, err error) {
	if c.opts.has(s.unwanted) {
		return Verdict{}, nil
	}
	err = c.within(ctx, limit, func() (err error) {
		c.macro(s)
		if err = writePacket(c.w, s.cmd, s.data); err != nil || c.opts.has(s.nr) {
			return err
		}
		if err = c.w.Flush(); err == nil {
			v, err = c.answer(ctx, limit)
		}
		return err
	})
	return v, err
}

// macro writes what the milter may want to know with a step.
func (c *Conn) macro(s step) {
	names := usual[s.at]
	if asked := c.opts.macros[s.at]; asked != nil {
		names = asked
	}
	if data := macroData(s.cmd, names, s.macros); data != nil {
		writePacket(c.w, cmdMacro, data)
	}
}

// answer reads the answer to a step that changes nothing.
func (c *Conn) answer(ctx context.Context, limit time.Duration) (Verdict, error) {
	for {
		code, n, err := readHead(c.r)
		if err != nil {
			return Verdict{}, err
		}
		data, err := readData(c.r, n)
		if err != nil {
			return Verdict{}, err
		}
		v, err := c.opts.parseReply(code, data)
		if err != nil || v.Kind != progress {
			return v, err
		}
		c.again(ctx, limit)
	}
}

// Client is who connected to the mail server.
type Client struct {
	// Name is the verified name of the client, or its address in brackets.
	Name string
	// Addr is its address; the zero AddrPort for a local program.
	Addr netip.AddrPort
}

// data is the CONNECT packet: name, family, port and address.
func (c Client) data() ([]byte, error) {
	name, err := terminated(c.Name)
	if err != nil {
		return nil, err
	}
	a := c.Addr.Addr().Unmap().WithZone("")
	if !a.IsValid() {
		return append(name, 'U'), nil // SMFIA_UNKNOWN
	}
	family, text := byte('4'), a.String()
	if a.Is6() {
		family, text = '6', "IPv6:"+text
	}
	name = append(name, family, byte(c.Addr.Port()>>8), byte(c.Addr.Port()))
	return append(append(name, text...), 0), nil
}

// Connect tells of the client.
func (c *Conn) Connect(ctx context.Context, client Client, m Macros) (Verdict, error) {
	data, err := client.data()
	if err != nil {
		return Verdict{}, err
	}
	return c.command(ctx, step{cmd: cmdConnect, unwanted: noConnect, nr: nrConnect, at: atConnect, macros: m, data: data})
}

// Helo tells of HELO or EHLO.
func (c *Conn) Helo(ctx context.Context, name string, m Macros) (Verdict, error) {
	return c.strings(ctx, step{cmd: cmdHelo, unwanted: noHelo, nr: nrHelo, at: atHelo, macros: m}, name)
}

// Mail tells of MAIL: the sender in angle brackets, and the parameters.
func (c *Conn) Mail(ctx context.Context, args []string, m Macros) (Verdict, error) {
	return c.strings(ctx, step{cmd: cmdMail, unwanted: noMail, nr: nrMail, at: atMail, macros: m}, args...)
}

// Rcpt tells of RCPT, as Mail does of MAIL. A refusal is of this recipient only.
func (c *Conn) Rcpt(ctx context.Context, args []string, m Macros) (Verdict, error) {
	return c.strings(ctx, step{cmd: cmdRcpt, unwanted: noRcpt, nr: nrRcpt, at: atRcpt, macros: m}, args...)
}

// Data tells of DATA.
func (c *Conn) Data(ctx context.Context, m Macros) (Verdict, error) {
	return c.command(ctx, step{cmd: cmdData, unwanted: noData, nr: nrData, at: atData, macros: m})
}

// Unknown tells of a command that the server does not know.
func (c *Conn) Unknown(ctx context.Context, line string) (Verdict, error) {
	return c.strings(ctx, step{cmd: cmdUnknown, unwanted: noUnknown, nr: nrUnknown}, line)
}

// strings sends a step whose data are strings.
func (c *Conn) strings(ctx context.Context, s step, args ...string) (v Verdict, err error) {
	if s.data, err = terminated(args...); err != nil {
		return Verdict{}, err
	}
	return c.command(ctx, s)
}

// command sends a step before the message. None of them leaves out the rest of a
// body.
func (c *Conn) command(ctx context.Context, s step) (Verdict, error) {
	v, err := c.send(ctx, c.cfg.CommandTimeout, s)
	if err == nil && v.Kind == skip {
		c.nc.Close()
		err = errMalformed
	}
	return v, err
}

// Abort tells that the message, or what there is of it, comes to nothing. It is
// not answered.
func (c *Conn) Abort(ctx context.Context) error { return c.tell(ctx, cmdAbort) }

// Next ends the dialogue and keeps the connection for another one, which begins
// with Connect (SMFIC_QUIT_NC, version 6).
func (c *Conn) Next(ctx context.Context) error {
	if c.opts.version < 6 {
		c.nc.Close()
		return fmt.Errorf("version %d of the protocol keeps no connections", c.opts.version)
	}
	return c.tell(ctx, cmdQuitNC)
}

// Close ends the dialogue and the connection.
func (c *Conn) Close(ctx context.Context) error {
	c.tell(ctx, cmdQuit) // a courtesy
	return c.nc.Close()
}

// tell sends what is not answered.
func (c *Conn) tell(ctx context.Context, cmd byte) error {
	return c.within(ctx, c.cfg.CommandTimeout, func() error {
		writePacket(c.w, cmd)
		return c.w.Flush()
	})
}
