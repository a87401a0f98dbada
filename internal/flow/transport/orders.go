package transport

// orders are the orders in which relays are tried, one for each that may come first.
type orders struct {
	total int
	upTo  []int // where the share of each order ends
	lists [][]Relay
}

// newOrders makes them. Without any weight there is none: relays are tried as they
// stand.
func newOrders(relays []Relay) (o orders) {
	for i, r := range relays {
		if r.Weight <= 0 {
			continue
		}
		o.total += r.Weight
		o.upTo = append(o.upTo, o.total)
		o.lists = append(o.lists, rest(relays, i))
	}
	return o
}

// rest puts one relay first and those without a weight last.
func rest(relays []Relay, first int) []Relay {
	list := []Relay{relays[first]}
	for _, weighted := range []bool{true, false} {
		for i, r := range relays {
			if i != first && (r.Weight > 0) == weighted {
				list = append(list, r)
			}
		}
	}
	return list
}

// of is the order for an item.
func (o orders) of(id int64, relays []Relay) []Relay {
	if o.total == 0 {
		return relays
	}
	n := int(mix(id, 2) % uint64(o.total))
	for i, end := range o.upTo {
		if n < end {
			return o.lists[i]
		}
	}
	return relays
}
