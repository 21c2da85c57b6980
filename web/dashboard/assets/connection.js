// One connection: all but its key.
import { ask, can, explain, connectionPath } from "./api.js";
import { actions, h, ago, badge, button, notice, pairs, states, view, when } from "./dom.js";
import { integrationLink } from "./overview.js";
import { reconnectLink } from "./link.js";
import { confirmDelete } from "./remove.js";

const lines = (object) => Object.entries(object || {}).map(([k, v]) => `${k}: ${v}`).join(", ");

function details(c) {
	const user = c.end_user;
	return pairs([
		["State", badge(c.status)], ["Integration", integrationLink(c.provider_config_key)],
		["Key", c.key_version ? `version ${c.key_version}, written ${ago(c.key_age_seconds)}` : ""], ["Fingerprint", c.credentials.fingerprint],
		["Runs out", when(c.expires_at)], ["Last used", when(c.last_used_at)], ["Last refused", when(c.last_auth_failure_at)],
		["End user", user ? [user.id, user.display_name, user.email].filter(Boolean).join(", ") : ""], ["Organization", user?.organization ? [user.organization.id, user.organization.display_name].filter(Boolean).join(", ") : ""],
		["Tags", lines(c.tags)], ["Configuration", lines(c.connection_config)], ["Metadata", c.metadata ? JSON.stringify(c.metadata) : ""],
		["Created", when(c.created_at)],
	]);
}

export async function connection(integration, id) {
	const read = () => ask("GET", connectionPath(id), { query: { provider_config_key: integration } });
	const { answer: first, etag: tag, error } = await read();
	if (error) {
		return { error };
	}
	let etag = tag;
	let last = "";
	const what = h("p", {});
	const body = h("section", { class: "card", "aria-label": "Connection" });
	const draw = (c) => {
		const now = JSON.stringify({ ...c, key_age_seconds: 0 });
		if (now !== last) {
			last = now;
			what.textContent = states[c.status]?.[2] || "";
			body.replaceChildren(what, details(c));
		}
	};
	draw(first);
	const path = (below) => connectionPath(id, below);
	const turn = first.disabled ? ["Enable", "/enable", "It is enabled."] : ["Disable", "/disable", "It is disabled: every request for it is refused."];
	return {
		refresh: async () => {
			const res = await read();
			if (res.error?.status === 404 || (res.answer && res.answer.disabled !== first.disabled)) {
				view.reload();
				return;
			}
			if (res.answer) {
				etag = res.etag;
				draw(res.answer);
			}
		},
		content: [
			h("h1", { tabindex: "-1" }, id),
			actions(
				can("connect_sessions:write") ? button("Make a link for another key", "main", () => reconnectLink(integration, id)) : null,
				can("connections:write") ? button(turn[0], "", async () => {
					const res = await ask("POST", path(turn[1]), { query: { provider_config_key: integration } });
					if (!res.error) {
						await view.reload();
					}
					notice(res.error ? explain(res.error) : turn[2]);
				}) : null,
				can("connections:write") ? button("Delete", "danger", () => confirmDelete({
					what: `connection ${id}`, name: id, warning: "Every version of its key is destroyed. Nothing brings them back.",
					path: path(), query: { provider_config_key: integration }, match: etag, then: `#/integrations/${encodeURIComponent(integration)}`,
				})) : null),
			body,
		].filter(Boolean),
	};
}
