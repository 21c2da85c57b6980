// How everything is doing: stores, totals, and the connections, those first that
// need somebody.
import { ask, can, explain } from "./api.js";
import { h, badge, ago, when, table, states } from "./dom.js";

const pageSize = 50;

export const connectionLink = (integration, id) => h("a", { href: `#/connections/${encodeURIComponent(integration)}/${encodeURIComponent(id)}` }, id);
export const integrationLink = (key) => h("a", { href: `#/integrations/${encodeURIComponent(key)}` }, key);

// list shows connections, of one integration or of all, with filter, search and
// pages. It returns its content, and how to bring that up to date.
export function list(integration) {
	const want = { status: "", search: "", page: 0 };
	const filters = h("div", { class: "row", role: "group", "aria-label": "Filter by state" });
	const body = h("div", {});
	const error = h("p", { class: "error", role: "alert" });
	const pages = h("div", { class: "row" });
	const search = h("input", { type: "search", id: "search", "aria-label": "Search connections", placeholder: "Search by id or end user", maxlength: 255, autocomplete: "off" });
	let last = "";
	let asked = 0;
	let later = 0;

	search.addEventListener("input", () => {
		clearTimeout(later);
		later = setTimeout(() => pick({ search: search.value.trim(), page: 0 }), 250);
	});

	function pick(change) {
		Object.assign(want, change);
		return refresh();
	}

	// read asks for a page. The API searches in all states, and by state lists
	// without a search.
	async function read() {
		const common = { limit: pageSize, page: want.page };
		const status = can("status") ? await ask("GET", "status", { query: { ...common, integration, status: want.status } }) : { answer: null };
		if (status.error || (!want.search && status.answer)) {
			return { error: status.error, rows: status.answer?.connections, totals: status.answer?.totals, next: status.answer?.next_page !== null, status: status.answer, filtered: want.status || want.page };
		}
		const found = await ask("GET", "connections", { query: { ...common, integrationId: integration, search: want.search } });
		return { error: found.error, rows: found.answer?.connections, totals: status.answer?.totals, next: found.answer?.connections.length === pageSize, status: status.answer };
	}

	async function refresh() {
		const number = ++asked;
		const got = await read();
		if (number !== asked) {
			return null;
		}
		error.textContent = got.error ? explain(got.error) : "";
		if (got.error) {
			return got;
		}
		const now = JSON.stringify([want, got.rows, got.totals, got.next]);
		if (now !== last) {
			last = now;
			const focused = focusKey();
			draw(got);
			focusOn(focused);
		}
		return got;
	}

	function draw({ rows, totals, next }) {
		const all = totals ? Object.values(totals).reduce((a, b) => a + b, 0) : 0;
		const filter = (state, text, n) => {
			const b = h("button", { type: "button", "aria-pressed": String(want.status === state && !want.search), "data-key": `filter ${state}` }, `${text} ${n.toLocaleString("en")}`);
			b.addEventListener("click", () => {
				search.value = "";
				pick({ status: state, search: "", page: 0 });
			});
			return b;
		};
		filters.replaceChildren(...(totals ? [filter("", "all", all), ...Object.keys(states).filter((s) => totals[s] > 0 || s === want.status).map((s) => filter(s, states[s][0], totals[s]))] : []));
		const heads = [...(integration ? [] : ["Integration"]), "Connection", "State", "Version", "Written", "Used", "Refused"];
		body.replaceChildren(rows.length === 0 ? h("p", { class: "empty" }, want.search || want.status || want.page ? "There are no such connections." : "There are no connections yet.") : table("Connections", heads, rows.map((c) => {
			const link = connectionLink(c.provider_config_key, c.connection_id);
			link.dataset.key = `${c.provider_config_key}/${c.connection_id}`;
			return [...(integration ? [] : [integrationLink(c.provider_config_key)]), link, badge(c.status), c.key_version ? String(c.key_version) : "",
				ago(c.key_age_seconds), when(c.last_used_at), when(c.last_auth_failure_at)];
		})));
		const turn = (text, by, off) => h("button", { type: "button", "data-key": text, disabled: off, click: () => pick({ page: want.page + by }) }, text);
		pages.replaceChildren(...(want.page > 0 || next ? [turn("Previous", -1, want.page === 0), h("span", { class: "muted" }, `Page ${want.page + 1}`), turn("Next", 1, !next)] : []));
	}

	// focusKey names what has the focus in what is about to be drawn anew.
	function focusKey() {
		const e = document.activeElement;
		return [filters, body, pages].some((part) => part.contains(e)) ? e.dataset.key : undefined;
	}

	function focusOn(key) {
		if (key !== undefined) {
			[filters, body, pages].flatMap((part) => [...part.querySelectorAll("[data-key]")]).find((e) => e.dataset.key === key)?.focus();
		}
	}

	const content = h("section", { class: "card", "aria-labelledby": "connections" },
		h("h2", { id: "connections" }, "Connections"), h("div", { class: "row" }, can("connections:read") ? search : null), filters, error, body, pages);
	return { content, refresh };
}

function stores(all) {
	if (all.length === 0) {
		return h("p", { class: "empty" }, "Nothing uses a store of keys yet.");
	}
	return filled("Stores of keys", ["Store", "Kind", "State", "Since", "Login"], all.map((s) => [
		s.name, s.module, h("span", { class: `state ${s.reachable && !s.sealed ? "good" : "bad"}` }, s.sealed ? "sealed" : s.reachable ? "reachable" : "away"),
		when(s.since), s.token_ttl_seconds === null ? "" : `good for ${Math.round(s.token_ttl_seconds / 60)} minutes`,
	]));
}

// filled is a table without the columns that hold nothing.
function filled(caption, heads, rows) {
	const used = heads.map((_, n) => rows.some((cells) => cells[n] !== ""));
	return table(caption, heads.filter((_, n) => used[n]), rows.map((cells) => cells.filter((_, n) => used[n])));
}

// own lists the keys that the Caddy config itself names, null for none.
function own(all) {
	const rows = all.filter((i) => i.source === "config" && (i.key_version || i.status !== "unknown")).map((i) => [
		integrationLink(i.unique_key), badge(i.status), i.key_version ? String(i.key_version) : "", ago(i.key_age_seconds), when(i.last_used_at), when(i.last_auth_failure_at),
	]);
	return rows.length ? h("section", { class: "card", "aria-labelledby": "own" }, h("h2", { id: "own" }, "Keys of the configuration"),
		filled("Keys of the configuration", ["Integration", "State", "Version", "Written", "Used", "Refused"], rows)) : null;
}

export async function overview() {
	const place = h("div", {});
	const fixed = h("div", {});
	const connections = list("");
	let last = "";

	async function refresh() {
		const got = await connections.refresh();
		const now = JSON.stringify([got?.status?.stores, got?.status?.integrations]);
		if (got?.status && now !== last) {
			last = now;
			place.replaceChildren(stores(got.status.stores));
			if (!got.filtered) { // else it has only those in that state
				fixed.replaceChildren(...[own(got.status.integrations)].filter(Boolean));
			}
		}
		return got;
	}

	const got = await refresh();
	if (got?.error) {
		return { error: got.error };
	}
	return {
		refresh,
		content: [h("h1", { tabindex: "-1" }, "Overview"),
			can("status") ? h("section", { class: "card", "aria-labelledby": "stores" }, h("h2", { id: "stores" }, "Stores of keys"), place) : null, fixed, connections.content].filter(Boolean),
	};
}
