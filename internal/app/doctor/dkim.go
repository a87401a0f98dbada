package doctor

import (
	"context"

	"facteur/internal/app/records"
	"facteur/internal/base/lookup"
	"facteur/internal/mail/dkim"
	"facteur/internal/store/dkimkey"
)

// checkDKIM: each key that signs is published, and the one to come as well (row 223).
func checkDKIM(ctx context.Context, w *World, d Domain, r *report) {
	if d.NeverSends || w.Keys == nil {
		return
	}
	ring, err := w.Keys(d.Name)
	if err != nil {
		r.untold("which keys sign the mail of "+d.Name, err)
		return
	}
	if d.Backup && len(ring) == 0 {
		r.add(OK, "Mail of %s, which is kept elsewhere, is not signed here.", d.Name)
		return
	}
	if len(ring.Signing())+len(ring.Waiting()) == 0 {
		r.add(Warning, "There is no key to sign the mail of %s with.", d.Name).
			because("Google, Yahoo and Microsoft distrust mail without a signature.").do("facteur dkim rotate " + d.Name)
	}
	for _, k := range ring {
		if k.Living() {
			checkKey(ctx, w, k, r)
		}
	}
	if len(r.list) == 0 {
		r.add(OK, "The keys that sign the mail of %s are published.", d.Name)
	}
}

// checkKey compares a key with its record.
func checkKey(ctx context.Context, w *World, k dkimkey.Key, r *report) {
	if k.Err != nil {
		r.about(k.Name(), Failure, "The key %s of %s can't be read: %v.", k.Selector, k.Domain, k.Err).because("Mail is not signed with it.")
		return
	}
	want := records.Record{Name: k.Name(), Type: "TXT", Value: k.Record()}.String()
	a := dkim.Lookup(ctx, w.Resolver.LookupTXT, k.Selector, k.Domain)
	switch signs := k.State == dkimkey.Active || k.State == dkimkey.Retiring; {
	case a.State() == lookup.TryAgain:
		r.about(k.Name(), Unknown, "It could not be told whether %s is published: %v.", k.Name(), a.Err())
	case a.State() == lookup.Found && k.Shows(a.Value()):
	case !signs && a.State() == lookup.NotFound:
		r.about(k.Name(), Warning, "The key %s of %s waits for its record.", k.Selector, k.Domain).because("Mail is signed with it when the record is seen.").do(want)
	case a.State() == lookup.NotFound:
		r.about(k.Name(), Failure, "The key %s signs the mail of %s, and is not published.", k.Selector, k.Domain).because("Every signature fails.").do(want)
	default:
		level := Failure
		if !signs {
			level = Warning
		}
		r.about(k.Name(), level, "%s has another key than the server.", k.Name()).because("Signatures made with it fail.").do(want)
	}
}
