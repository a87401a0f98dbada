package sign

import (
	"cmp"
	"errors"
	"io"
	"time"

	"facteur/internal/mail/address"
	"facteur/internal/mail/arc"
	"facteur/internal/mail/authres"
	"facteur/internal/mail/dkim"
	"facteur/internal/mail/message"
)

// Sealing is how mail of strangers is sealed that goes on from here (RFC 8617).
type Sealing struct {
	// ID is our name in Authentication-Results.
	ID string
	// Domain is whose key seals; "" is that of the address from which a letter goes on, or
	// Home where that has none.
	Domain, Home string
}

// Sealed is what came of a letter: Head stands instead of its first bytes, Instead of them.
// Without a Head it leaves as it is.
type Sealed struct {
	Head    []byte
	Instead int64
	// By is the name of the key in the DNS, Chain what the seal says of those before it.
	By    string
	Chain arc.Status
	// Why completes "It was not sealed, as …".
	Why string
}

// Seal seals what goes over the wire: r reads that from its start, and stands there again
// afterwards. What the letter was when it came is taken from our own Authentication-Results,
// which stand above our own Received: what stands below is the word of strangers, whatever
// name it bears. forwarder is the address here from which the letter goes on.
//
// A letter is never kept back for want of a seal. It goes on without where nobody looked at
// it when it came, where nothing is known about its chain (the DNS did not answer, or chains
// are not checked here), where the chain has ended, and where there is no key.
func (s *Signer) Seal(r io.ReadSeeker, forwarder address.Address, now time.Time) (out Sealed, err error) {
	if s == nil || s.rules().Sealing == nil {
		return out, nil
	}
	out, err = s.seal(r, forwarder, now)
	if _, again := r.Seek(0, io.SeekStart); err == nil {
		err = again
	}
	return out, err
}

func (s *Signer) seal(r io.Reader, forwarder address.Address, now time.Time) (out Sealed, err error) {
	h, rest, err := message.ReadHeader(r, headerMax)
	if errors.Is(err, message.ErrHeaderTooLong) {
		out.Why = "its header is too long"
		return out, nil
	} else if err != nil {
		return out, err
	}
	rules := s.rules()
	found, ok := ownFindings(h, rules.Sealing.ID)
	if out.Chain = chainOf(found); !ok {
		out.Why = "nobody looked at it when it came"
		return out, nil
	}
	key, why := s.sealKey(rules, forwarder)
	if why != "" {
		out.Why = why
		return out, nil
	}
	body, form := dkim.NewBody(), dkim.Form{}
	digest := form.Wants(body)
	if _, err := io.Copy(body, rest); err != nil {
		return out, err
	}
	set, err := arc.Seal(h, out.Chain, found, body.Sum(digest), key, form, now)
	if err != nil {
		out.Why = err.Error()
		return out, nil
	}
	out.By, _ = key.Name()
	out.Head, out.Instead = append(set, h...), int64(len(h))
	return out, nil
}

// ownFindings are what we found out about a letter, from all fields of ours above our own
// Received; none where there is no such field.
func ownFindings(h message.Header, id string) (found authres.Results, ok bool) {
	end := 0
	for f := range h.Fields() {
		if f.Is("Received") {
			end = f.Start
			break
		}
	}
	found.ID = id
	for _, r := range authres.Of(h[:end], id) {
		found.Methods = append(found.Methods, r.Methods...)
		ok = true
	}
	return found, ok
}

// chainOf is what we found out about the chain; none where we found none.
func chainOf(found authres.Results) arc.Status {
	for _, m := range found.Find("arc") {
		return arc.Status(m.Result)
	}
	return arc.None
}

// sealKey finds the key that seals: one of the admin's, or one that signs. RSA comes first,
// as many who check seals know nothing else.
func (s *Signer) sealKey(rules *Rules, forwarder address.Address) (k dkim.Key, why string) {
	domains := []string{rules.Sealing.Domain}
	if rules.Sealing.Domain == "" {
		domains = []string{forwarder.Domain, rules.Sealing.Home}
	}
	for _, name := range domains {
		domain, err := dkim.Domain(name)
		if err != nil {
			continue
		}
		if k, ok := rules.sealing(domain); ok {
			return k, ""
		}
		ring, err := s.keys.Ring(domain)
		if err != nil {
			why = cmp.Or(why, err.Error())
			continue
		}
		for _, k := range ring.Signing() {
			return dkim.Key{Domain: domain, Selector: k.Selector, Private: k.Private}, ""
		}
	}
	return k, cmp.Or(why, "neither "+domains[0]+" nor this server's domain has a key that signs")
}

// sealing is a key of the admin's for a domain, RSA first.
func (r *Rules) sealing(domain string) (k dkim.Key, ok bool) {
	for _, o := range r.Own {
		if o.Domain != domain || o.Private == nil {
			continue
		}
		if this := (dkim.Key{Domain: domain, Selector: o.Selector, Private: o.Private}); !ok || this.Algorithm() == "rsa-sha256" && k.Algorithm() != "rsa-sha256" {
			k, ok = this, true
		}
	}
	return k, ok
}
