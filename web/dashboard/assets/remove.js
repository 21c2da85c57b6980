// Deleting, which nothing brings back: the name is typed in first.
import { ask, explain } from "./api.js";
import { h, dialog, fault, field, notice } from "./dom.js";

export function confirmDelete({ what, name, warning, path, query, match, then }) {
	const error = h("p", { class: "error", role: "alert" });
	const form = h("form", { autocomplete: "off", novalidate: true },
		h("p", {}, warning), h("p", {}, "To delete it, type ", h("code", {}, name)),
		field("name", "Name", { required: true, spellcheck: "false" }), error,
		h("div", { class: "row" }, h("button", { type: "submit", class: "danger" }, "Delete"), h("button", { type: "button", click: () => d.close() }, "Cancel")));
	const d = dialog(`Delete ${what}?`, form);
	form.elements.name.focus();
	form.addEventListener("submit", async (event) => {
		event.preventDefault();
		const right = form.elements.name.value === name;
		fault(form, "name", right ? "" : "This is not the name.");
		if (!right) {
			form.elements.name.focus();
			return;
		}
		const res = await ask("DELETE", path, { query, match });
		if (res.error) {
			error.textContent = explain(res.error);
			return;
		}
		d.close();
		location.hash = then;
		window.addEventListener("hashchange", () => notice([`Deleted ${what}.`, ...(res.answer.warnings || [])].join(" ")), { once: true });
	});
}
