// How the dashboard writes. Everything goes through text nodes and attributes:
// what others named stays text.

// h makes an element: h("p", { class: "muted" }, "some text", child).
export function h(tag, attributes = {}, ...children) {
	const e = document.createElement(tag);
	for (const [name, value] of Object.entries(attributes)) {
		if (typeof value === "function") {
			e.addEventListener(name, value);
		} else if (value !== false && value !== undefined && value !== null) {
			e.setAttribute(name, value === true ? "" : value);
		}
	}
	e.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
	return e;
}

// states says what each state is called, how it looks, and what to do about it.
export const states = {
	auth_failed: ["key refused", "bad", "The upstream refuses the newest key. Make a Connect link, so that the end user enters another one."],
	missing: ["key missing", "bad", "The store has no key for it any more. Make a Connect link, so that the end user enters one."],
	origin_changed: ["moved", "bad", "The integration leads to another origin than when the key was entered, so the key is not sent. Confirm the origin in the integration, or have the key entered anew."],
	stale: ["stale", "bad", "The key cannot be read at the moment; the one that is held stays in use for a while. Look at the stores."],
	unknown: ["not verified", "off", "The upstream could not be asked whether it takes the key."],
	ok: ["ok", "good", "Nothing is known against its key."],
	disabled: ["disabled", "off", "Every request for it is refused."],
};

export function badge(state) {
	const [text, look] = states[state] || [state, "off"];
	return h("span", { class: `state ${look}` }, text);
}

const units = [["year", 31557600], ["month", 2629800], ["day", 86400], ["hour", 3600], ["minute", 60]];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

// ago says how long ago something was that is so many seconds old.
export function ago(seconds) {
	if (seconds === null || seconds === undefined) {
		return "";
	}
	for (const [unit, size] of units) {
		if (Math.abs(seconds) >= size) {
			return relative.format(-Math.round(seconds / size), unit);
		}
	}
	return "just now";
}

// when says how long ago a time was, and in its title exactly when.
export function when(stamp) {
	return stamp ? h("time", { datetime: stamp, title: new Date(stamp).toLocaleString("en") }, ago((Date.now() - Date.parse(stamp)) / 1000)) : "";
}

// table makes a table. A cell is text or an element. The roles stay when a phone
// shows rows as cards.
export function table(caption, heads, rows) {
	return h("table", { role: "table", "aria-label": caption },
		h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads.map((t) => h("th", { role: "columnheader", scope: "col" }, t)))),
		h("tbody", { role: "rowgroup" }, rows.map((cells) => h("tr", { role: "row" }, cells.map((c, n) => h("td", { role: "cell", "data-head": heads[n] }, c))))));
}

// pairs lists what is known of one thing.
export function pairs(list) {
	return h("dl", {}, list.filter(([, v]) => v !== "" && v !== null && v !== undefined).flatMap(([k, v]) => [h("dt", {}, k), h("dd", {}, v)]));
}

// view.reload shows the view anew, as it is now.
export const view = { reload: async () => {} };

// notice says above the view what became of an action.
export function notice(text) {
	document.getElementById("notice").textContent = text;
}

// button makes a button that is busy while what it does goes on.
export function button(text, look, act) {
	const b = h("button", { type: "button", class: look });
	b.textContent = text;
	b.addEventListener("click", async () => {
		if (b.getAttribute("aria-busy") === "true") {
			return;
		}
		b.setAttribute("aria-busy", "true");
		await act();
		b.removeAttribute("aria-busy");
	});
	return b;
}

// actions groups the buttons of a view; none where the token may do nothing.
export function actions(...list) {
	const all = list.filter(Boolean);
	return all.length ? h("div", { class: "row card", role: "group", "aria-label": "Actions" }, ...all) : null;
}

// dialog shows a modal dialog, and takes it and all that was typed into it out of
// the page when it is closed. Escape closes it, too.
export function dialog(title, ...content) {
	const head = h("h2", { id: "asked", tabindex: "-1" }, title);
	const d = h("dialog", { "aria-labelledby": "asked" }, head, ...content);
	const opener = document.activeElement;
	d.addEventListener("close", () => {
		d.remove();
		opener?.isConnected && opener.focus();
	});
	document.body.append(d);
	d.showModal();
	return d;
}

// field makes a labelled input, with what is wrong with it next to it.
export function field(id, label, attributes = {}, hint = "") {
	const input = h(attributes.options ? "select" : "input", { id, name: id, autocomplete: "off", "aria-describedby": `${id}-error ${id}-hint`, ...attributes, options: null },
		(attributes.options || []).map((o) => h("option", { value: o, selected: o === attributes.value }, o)));
	return h("div", {}, h("label", { for: id }, label), input, h("p", { class: "error", id: `${id}-error` }), h("p", { class: "hint", id: `${id}-hint` }, hint));
}

// fault says next to a field what is wrong with it; an empty text: nothing.
export function fault(form, id, text) {
	const input = form.querySelector(`[name="${id}"]`);
	input.toggleAttribute("aria-invalid", false);
	if (text) {
		input.setAttribute("aria-invalid", "true");
	}
	document.getElementById(`${id}-error`).textContent = text;
}
