// The demo shop's own script. It knows nothing of the chat but the calls that any site may make: Deskbell(...).
(() => {
  const root = document.documentElement;
  const address = new URL(location.href);
  root.dataset.page = address.searchParams.get("page") ?? "home";

  // Calls made before the loader has arrived wait in this queue.
  window.Deskbell ??= Object.assign((...call) => window.Deskbell.q.push(call), { q: [] });

  const TEXTS = {
    de: {
      skip: "Zum Inhalt",
      "nav.shop": "Laden",
      "nav.workshop": "Werkstatt",
      "hero.over": "Gießerei und Laden seit 1874",
      "hero.title": "Ein klarer Ton für jede Tür und jeden Tisch",
      "hero.lead": "Wir gießen, drehen und stimmen jede Glocke von Hand. Läuten Sie eine, und Sie erkennen sie, bevor Sie sie sehen.",
      "hero.look": "Zu den Glocken",
      "hero.ask": "Die Werkstatt fragen",
      "bells.title": "Von der Werkbank",
      "good.desk": "Fuß aus Nussbaum, helles G",
      "good.hand": "Eichengriff, weithin hörbar",
      "good.ship": "Mit Halter und Seil",
      "good.door": "An der Feder, verpasst niemanden",
      "good.cycle": "Zwei Töne, ein Daumen",
      "good.sleigh": "Drei am Lederriemen",
      "good.ask": "Danach fragen",
      "promise.tuned": "Nach Gehör gestimmt",
      "promise.tuned.text": "Jede Glocke wird gefeilt, bis sie singt. Innen steht unser Zeichen.",
      "promise.mended": "Ein Leben lang repariert",
      "promise.mended.text": "Schicken Sie sie in fünfzig Jahren zurück. Wir freuen uns noch immer.",
      "promise.person": "Ein Mensch antwortet",
      "promise.person.text": "Läuten Sie die Glocke in der Ecke. Hinter unserem Tresen steht kein Roboter.",
      "work.over": "Die Werkstatt",
      "work.title": "Vierzig Schritte vom Barren zum Ton",
      "work.lead": "Kupfer und Zinn, eine Sandform und eine Drehbank, älter als wir alle. Donnerstags kann man zusehen.",
      "work.back": "Zurück zum Laden",
      "step.cast": "Gegossen",
      "step.cast.text": "Bei 1.100 °C, über Nacht im Sand gekühlt.",
      "step.turn": "Gedreht",
      "step.turn.text": "Die Drehbank nimmt ein Zehntel Millimeter auf einmal.",
      "step.tune": "Gestimmt",
      "step.tune.text": "Fünf Teiltöne müssen sich einig sein. Die Feile entscheidet.",
      foot: "Brass & Bell ist ein erfundener Laden. Der Chat in der Ecke ist echt: Deskbell.",
      "tool.language": "Sprache",
      "tool.theme": "Farben",
      "tool.corner": "Ecke",
      "tool.accent": "Akzent",
      "theme.auto": "System",
      "theme.light": "Hell",
      "theme.dark": "Dunkel",
      "corner.end": "Ende",
      "corner.start": "Anfang",
    },
    ar: {
      skip: "إلى المحتوى",
      "nav.shop": "المتجر",
      "nav.workshop": "الورشة",
      "hero.over": "مسبك ومتجر منذ 1874",
      "hero.title": "نغمة صافية لكل باب ومكتب",
      "hero.lead": "نصبّ كل جرس ونخرطه ونضبط نغمته يدويًا. اقرع واحدًا وستعرف أنه من صنعنا قبل أن تراه.",
      "hero.look": "شاهد الأجراس",
      "hero.ask": "اسأل الورشة",
      "bells.title": "من طاولة العمل",
      "good.desk": "قاعدة من الجوز، نغمة مشرقة",
      "good.hand": "مقبض من البلوط، يُسمع من بعيد",
      "good.ship": "مع حامل وحبل",
      "good.door": "على نابض، لا يفوته أحد",
      "good.cycle": "نغمتان بإبهام واحد",
      "good.sleigh": "ثلاثة على حزام جلدي",
      "good.ask": "اسأل عنه",
      "promise.tuned": "مضبوط بالسمع",
      "promise.tuned.text": "نبرد كل جرس حتى يغنّي، ثم نوقّع في داخله.",
      "promise.mended": "صيانة مدى الحياة",
      "promise.mended.text": "أعده إلينا بعد خمسين عامًا وسنفرح برؤيته.",
      "promise.person": "إنسان يجيبك",
      "promise.person.text": "اقرع الجرس في الزاوية. لا روبوت خلف طاولتنا.",
      "work.over": "الورشة",
      "work.title": "أربعون خطوة من السبيكة إلى النغمة",
      "work.lead": "نحاس وقصدير وقالب من الرمل ومخرطة أقدم منا جميعًا. تفضّل بالمشاهدة يوم الخميس.",
      "work.back": "العودة إلى المتجر",
      "step.cast": "الصبّ",
      "step.cast.text": "يُصبّ عند 1100 درجة ويبرد ليلة تحت الرمل.",
      "step.turn": "الخراطة",
      "step.turn.text": "تزيل المخرطة عُشر ملّيمتر في كل مرة.",
      "step.tune": "الضبط",
      "step.tune.text": "خمس نغمات يجب أن تتفق، والمبرد يقرّر.",
      foot: "Brass & Bell متجر خيالي. أما المحادثة في الزاوية فحقيقية: Deskbell.",
      "tool.language": "اللغة",
      "tool.theme": "الألوان",
      "tool.corner": "الزاوية",
      "tool.accent": "اللون",
      "theme.auto": "النظام",
      "theme.light": "فاتح",
      "theme.dark": "داكن",
      "corner.end": "النهاية",
      "corner.start": "البداية",
    },
  };
  const english = {};

  function speak(language) {
    root.lang = language;
    root.dir = language === "ar" ? "rtl" : "ltr";
    for (const element of document.querySelectorAll("[data-text]")) {
      const key = element.dataset.text;
      english[key] ??= element.textContent;
      element.textContent = TEXTS[language]?.[key] ?? english[key];
    }
  }

  // What was chosen goes along to the other page in the address, as does ?csp=strict.
  function keep(name, value) {
    address.searchParams.set(name, value);
    history.replaceState(null, "", address);
    carryAlong();
  }

  function carryAlong() {
    for (const link of document.querySelectorAll("[data-page-link]")) {
      const target = new URL(address);
      target.hash = "";
      target.searchParams.delete("page");
      if (link.dataset.pageLink !== "home") target.searchParams.set("page", link.dataset.pageLink);
      link.href = target.href;
      if (link.closest("nav") && link.dataset.pageLink === root.dataset.page) link.setAttribute("aria-current", "page");
    }
  }

  const CHOICES = {
    language(value) {
      speak(value);
      Deskbell("locale", value);
    },
    theme(value) {
      root.dataset.theme = value;
      Deskbell("set", { theme: value });
    },
    position: (value) => Deskbell("set", { position: value }),
    accent: (value) => Deskbell("set", { accent: value }),
  };

  addEventListener("DOMContentLoaded", () => {
    carryAlong();
    for (const [name, choose] of Object.entries(CHOICES)) {
      const field = document.getElementById(name);
      const chosen = address.searchParams.get(name);
      if (chosen) {
        field.value = chosen;
        choose(field.value);
      }
      field.addEventListener("change", () => {
        choose(field.value);
        keep(name, field.value);
      });
    }
    for (const button of document.querySelectorAll("[data-chat]")) {
      button.addEventListener("click", () => {
        const about = button.dataset.chat;
        Deskbell("open", about === "open" ? undefined : { draft: `${about}: ` });
      });
    }
  });
})();
