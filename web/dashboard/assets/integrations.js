// The list of integrations.
import { ask, can } from "./api.js";
import { h, badge, table } from "./dom.js";
import { integrationLink } from "./overview.js";

export async function integrations() {
	const { answer, error } = await ask("GET", "integrations");
	if (error) {
		return { error };
	}
	const rows = answer.data.map((i) => [
		integrationLink(i.unique_key), i.display_name, i.integration_config.baseUrl, `${i.integration_config.keyPlacement} ${i.integration_config.keyName}`,
		i.source === "config" ? "Caddy config" : "API", i.disabled ? badge("disabled") : "",
	]);
	return {
		content: [
			h("div", { class: "row apart" }, h("h1", { tabindex: "-1" }, "Integrations"), can("integrations:write") ? h("a", { class: "button main", href: "#/new" }, "New integration") : null),
			h("section", { class: "card", "aria-label": "Integrations" },
				rows.length ? table("Integrations", ["Unique key", "Name", "Base URL", "Key goes into", "Defined in", "State"], rows) : h("p", { class: "empty" }, "There are no integrations yet.")),
		],
	};
}
