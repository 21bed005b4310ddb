// Links and sockets of our types in colours of their own.
import { app } from "../../scripts/app.js";

const COLOURS = { EYM_BASE: "#b39ddb", EYM_PERSON: "#ffab91", EYM_POSES: "#80cbc4", POSE_KEYPOINT: "#aed581" };

app.registerExtension({
  name: "edit-your-motion.colours",
  setup() {
    for (const table of [app.canvas.default_connection_color_byType, app.canvas.constructor.link_type_colors])
      for (const [type, colour] of Object.entries(COLOURS))
        // The editor blanks the types that its palette does not know, whenever a palette is loaded.
        Object.defineProperty(table, type, { get: () => colour, set() {}, enumerable: true, configurable: true });
  },
});
