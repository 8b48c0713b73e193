// What the page does in a browser: charts, day and month view, sorting, searching, printing. uPlot stands above.
"use strict";
(() => {
  const root = document.documentElement;
  const colour = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const number = (value, digits) =>
    value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });

  // A curve: bytes of each slot from `start` on, and what the figures say about it.
  class Curve {
    constructor(section) {
      this.section = section;
      this.place = section.querySelector(".draw");
      this.data = JSON.parse(section.querySelector("script.data").textContent);
      const { start, step, bytes } = this.data;
      this.at = (slot) => start + slot * step;
      this.x = bytes.map((_, slot) => this.at(slot));
      this.y = bytes.map((size) => size * 8 / step / 1e6);
      this.end = this.at(bytes.length);
      this.day = -1;
      this.clock = new Intl.DateTimeFormat("en-GB", {
        timeZone: this.data.zone, weekday: "short", year: "numeric", month: "short", day: "numeric",
        hour: "2-digit", minute: "2-digit",
      });
      this.select = section.querySelector("select");
      this.listen();
      this.draw(1);
      new ResizeObserver(() => this.fit()).observe(this.place);
    }

    // The span that is shown: the whole period, or one of its days (epoch seconds).
    get span() {
      const { days, bytes } = this.data;
      return this.day < 0 ? [this.x[0], this.end] : [this.at(days[this.day]), this.at(days[this.day + 1] ?? bytes.length)];
    }

    // Draw it, `scale` times as large: paper shows it smaller again, and so with more dots an inch.
    draw(scale) {
      this.plot?.destroy();
      this.scale = scale;
      const width = Math.max(200, scale > 1 ? 700 * scale : this.place.clientWidth);
      const font = `${12 * scale}px system-ui, sans-serif`;
      const axis = { stroke: colour("--faint"), font, grid: { stroke: colour("--line"), width: scale },
        ticks: { stroke: colour("--line"), width: scale, size: 6 * scale }, gap: 4 * scale };
      const options = {
        width, height: (width < 500 ? 230 : 300) * scale, padding: [14 * scale, 26 * scale, 0, 0],
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), this.data.zone),
        cursor: { drag: { x: true, y: false } },
        scales: { x: { time: true }, y: { range: (_plot, _low, high) => [0, this.ceiling(high)] } },
        axes: [
          { ...axis, size: 30 * scale, space: 60 * scale, values: (_plot, ticks) => this.times(ticks) },
          { ...axis, size: (this.place.clientWidth < 500 ? 52 : 66) * scale, space: 36 * scale,
            values: (_plot, ticks) => ticks.map((tick) => tick.toLocaleString("en-US")) },
        ],
        series: [
          { label: "Time", value: (_plot, seconds) => seconds == null ? "–" : this.clock.format(seconds * 1000) },
          { label: "Mbit/s", stroke: colour("--curve"), fill: colour("--fill"), width: scale, points: { show: false },
            paths: (plot, index, from, to) =>
              (to - from > 1000 ? uPlot.paths.linear() : uPlot.paths.stepped({ align: 1 }))(plot, index, from, to),
            value: (_plot, value) => value == null ? "–" : number(value, 3) },
        ],
        hooks: { drawClear: [(plot) => this.shade(plot)], draw: [(plot) => this.mark(plot)] },
      };
      this.plot = new uPlot(options, [this.x, this.y], this.place);
      this.show();
    }

    // Labels of the time axis: the date where a day begins, else the time of day.
    times(ticks) {
      const date = { timeZone: this.data.zone, day: "numeric", month: "short" };
      const time = { timeZone: this.data.zone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
      return ticks.map((tick) => {
        const text = new Date(tick * 1000).toLocaleTimeString("en-GB", time);
        return text === "00:00" ? new Date(tick * 1000).toLocaleDateString("en-GB", date) : text;
      });
    }

    // The curve, and the lines of percentile and commit where they are near, end below the upper edge.
    ceiling(high) {
      const line = this.data.line?.mbps ?? 0;
      const commit = this.data.commit?.mbps ?? 0;
      const top = Math.max(high ?? 0, line < 3 * (high ?? 0) || this.day < 0 ? line : 0);
      return Math.max(top, commit < 3 * top ? commit : 0, 1e-6) * 1.08;
    }

    shade(plot) {
      const { ctx, bbox } = plot;
      ctx.save();
      ctx.fillStyle = colour("--missing");
      for (const [from, to] of this.data.missing) {
        const left = Math.max(plot.valToPos(this.at(from), "x", true), bbox.left);
        const right = Math.min(plot.valToPos(this.at(to), "x", true), bbox.left + bbox.width);
        if (right > left) ctx.fillRect(left, bbox.top, Math.max(right - left, 2 * devicePixelRatio), bbox.height);
      }
      ctx.restore();
    }

    mark(plot) {
      const { ctx, bbox } = plot;
      const dot = devicePixelRatio * this.scale;
      const { line, commit, peak } = this.data;
      ctx.save();
      ctx.font = `600 ${12 * dot}px system-ui, sans-serif`;
      if (commit) this.across(plot, commit, "--commit", [2 * dot, 3 * dot], "left");
      if (line) this.across(plot, line, "--mark", [6 * dot, 4 * dot], "right");
      const [from, to] = this.span;
      const top = peak && this.at(peak.slot);
      if (peak && top >= from && top < to) {
        const x = plot.valToPos(top + (this.day < 0 ? 0 : this.data.step / 2), "x", true);
        const y = plot.valToPos(peak.mbps, "y", true);
        ctx.fillStyle = colour("--peak");
        ctx.beginPath();
        ctx.arc(x, y, 4 * dot, 0, 7);
        ctx.fill();
        const right = x > bbox.left + bbox.width / 2;
        this.write(ctx, bbox, `peak ${number(peak.mbps, 3)}`, x + (right ? -8 : 8) * dot, y + 4 * dot, right ? "right" : "left");
      }
      ctx.restore();
    }

    // A line across the curve with its label, above it where there is room.
    across(plot, line, paint, dash, side) {
      const { ctx, bbox } = plot;
      const dot = devicePixelRatio * this.scale;
      const y = plot.valToPos(line.mbps, "y", true);
      if (y < bbox.top) return;
      ctx.strokeStyle = ctx.fillStyle = colour(paint);
      ctx.lineWidth = 1.5 * dot;
      ctx.setLineDash(dash);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      const x = side === "right" ? bbox.left + bbox.width - 6 * dot : bbox.left + 6 * dot;
      const above = y - 8 * dot > bbox.top + 6 * dot;
      this.write(ctx, bbox, `${line.label} ${number(line.mbps, 3)}`, x, above ? y - 7 * dot : y + 17 * dot, side);
    }

    // Text on a piece of paper, so that it can be read on the curve.
    write(ctx, bbox, text, x, y, align) {
      const dot = devicePixelRatio * this.scale;
      const wide = ctx.measureText(text).width;
      const ink = ctx.fillStyle;
      ctx.setLineDash([]);
      ctx.textAlign = align;
      ctx.fillStyle = colour("--paper");
      ctx.fillRect(align === "right" ? x - wide - 3 * dot : x - 3 * dot, y - 12 * dot, wide + 6 * dot, 16 * dot);
      ctx.fillStyle = ink;
      ctx.fillText(text, x, y);
    }

    show() {
      const [min, max] = this.span;
      this.plot.setScale("x", { min, max });
    }

    // Choose a day by its number; -1 is the whole period.
    choose(day) {
      this.day = Math.max(-1, Math.min(day, this.data.days.length - 1));
      this.section.querySelector(".month").setAttribute("aria-pressed", String(this.day < 0));
      this.select.value = String(this.day);
      this.section.querySelectorAll("tr[data-day]").forEach((row) =>
        row.classList.toggle("chosen", Number(row.dataset.day) === this.day));
      this.show();
    }

    listen() {
      const on = (selector, act) =>
        this.section.querySelectorAll(selector).forEach((one) => one.addEventListener("click", () => act(one)));
      on(".month", () => this.choose(-1));
      on(".before", () => this.choose(this.day < 0 ? this.data.days.length - 1 : this.day - 1));
      on(".after", () => this.choose(this.day + 1 < this.data.days.length ? this.day + 1 : -1));
      on("button.day", (one) => {
        this.choose(Number(one.closest("tr").dataset.day));
        this.place.parentNode.scrollIntoView({ block: "nearest" });
      });
      this.select.addEventListener("change", () => this.choose(Number(this.select.value)));
    }

    fit() {
      const width = this.place.clientWidth;
      if (this.scale === 1 && width && width !== this.plot.width) this.draw(1);
    }
  }

  // The small curve of a channel in the overview.
  const spark = (place) => {
    const values = place.dataset.values.split(",").map(Number);
    place.replaceChildren();
    new uPlot({
      width: 120, height: 28, padding: [2, 0, 2, 0], cursor: { show: false }, legend: { show: false },
      scales: { x: { time: false }, y: { range: [0, 100] } }, axes: [{ show: false }, { show: false }],
      series: [{}, { stroke: colour("--curve"), fill: colour("--fill"), width: 1, points: { show: false } }],
    }, [values.map((_, index) => index), values], place);
    place.dataset.drawn = "yes";
  };

  const sort = (head) => {
    const body = head.closest("table").tBodies[0];
    const column = head.cellIndex;
    const numbers = head.classList.contains("number");
    const down = head.getAttribute("aria-sort") === (numbers ? "descending" : "ascending") ? !numbers : numbers;
    const key = (row) => {
      const value = row.cells[column].dataset.value;
      return numbers ? (value === "" ? -Infinity : Number(value)) : value;
    };
    const order = numbers ? (a, b) => a - b : (a, b) => a < b ? -1 : a > b ? 1 : 0;
    const rows = [...body.rows].map((row) => [key(row), row]);
    rows.sort((one, other) => down ? order(other[0], one[0]) : order(one[0], other[0]));
    body.append(...rows.map(([, row]) => row));
    head.parentNode.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
  };

  document.querySelectorAll("th .sort").forEach((one) => {
    one.addEventListener("click", () => sort(one.closest("th")));
    one.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      sort(one.closest("th"));
    });
  });
  document.querySelectorAll("input.find").forEach((field) => field.addEventListener("input", () => {
    const wanted = field.value.toLowerCase();
    for (const row of field.closest("section").querySelector("tbody").rows)
      row.hidden = !row.cells[0].dataset.value.toLowerCase().includes(wanted);
  }));

  const curves = [...document.querySelectorAll("section.channel")].map((section) => section.curve = new Curve(section));
  const sparks = [...document.querySelectorAll("td.spark > div")];
  const watch = new IntersectionObserver((seen) => seen.filter((one) => one.isIntersecting).forEach((one) => {
    watch.unobserve(one.target);
    spark(one.target);
  }), { rootMargin: "200px" });
  sparks.forEach((place) => watch.observe(place));

  const again = () => {
    curves.forEach((curve) => curve.draw(1));
    sparks.filter((place) => place.dataset.drawn).forEach(spark);
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  addEventListener("beforeprint", () => {
    root.classList.add("printing");
    curves.forEach((curve) => curve.draw(2));
    sparks.forEach(spark);
  });
  addEventListener("afterprint", () => {
    root.classList.remove("printing");
    again();
  });
})();
