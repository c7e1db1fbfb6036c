"""Words that show whether something is done, not done, or only mentioned, in eight languages.

The words are as `tokens.normalise` returns them: folded, without accents. The languages share the
sets; a word with another meaning in another of these languages is left out.
"""

from __future__ import annotations


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


def _row(words: str) -> tuple[str, ...]:
    return tuple(words.split())


NOT = _set(
    # en
    "not never without avoid avoids avoiding cannot neither nor dont instead rather unlike "
    # de
    "nicht kein keine keinen keiner keinem nie niemals ohne statt anstatt nichts vermeide "
    # fr
    "ne n sans jamais aucun aucune rien eviter "
    # es, pt
    "no sin nunca jamas nada evitar nao sem evito"
)
"""Negate what follows in the same clause."""

NOT_AFTER = _set("nicht nie kein keine keinen pas rien jamais")
"""Negate what comes shortly before."""

NOT_YET = _set(
    # en: conditions, questions, and what was long done
    "before if whether unless until when while how where what which why already after once later "
    "asks asked tells told wrote wants suggests offers advises invites demands goal task user "
    # de
    "bevor ehe falls ob wenn wie wo schon bereits nachdem spater aufgabe ziel "
    # fr
    "avant si comment quand deja apres objectif tache "
    # es, pt
    "antes si como cuando donde ya despues usuario tarea objetivo se quando onde ja depois tarefa"
)
"""Shortly before a word, these make it a mention: a condition, a question, a report, the past."""

LOOKING = _set(
    "find look looking search see seeing check says said reads read finden suche suchen "
    "sehen sehe voir cherche chercher ver buscar busco procurar procuro"
)
"""Shortly before a word, these make it the name of something on the screen."""

BREAKS = _set(
    "but and then so because therefore thus however since aber sondern und dann also weil "
    "denn daher mais donc puis ensuite car et pero sino entonces luego porque asi y mas "
    "entao porque e"
)
"""Words that separate two clauses without punctuation."""

SEEING = _set(
    "shows show shown displays displayed displaying contains lists visible there appears "
    "says zeigt angezeigt steht sichtbar gibt sehe affiche affichee vois montre visible "
    "muestra veo hay aparece mostra vejo ha aparece"
)
"""A clause with one of these and without a touch describes the screen."""

TOUCH = _set(
    "tap taps tapping click clicks clicking press presses pressing hit hitting touch "
    "touching push pushing select selecting choose choosing pick picking tippe tippen "
    "antippen drucke drucken klicke klicken anklicken wahle wahlen auswahlen beruhre appuie "
    "appuyer appuyant touche toucher clique cliquer selectionne selectionner choisis "
    "choisir toco tocar toca pulso pulsar pulsa presiono presionar selecciono seleccionar "
    "elijo elegir toque clico clicar pressiono pressionar seleciono selecionar aperto"
)

SLIDE = _set(
    "swipe swiping slide sliding drag dragging pull wische wischen ziehe ziehen schiebe "
    "glisse glisser faire desliza deslizar deslizo arrastro arrastrar deslize arrasto "
    "arrastar"
)
"""Gestures that pay by a slider; for a swipe they count as a touch."""

ARTICLES = _set("the a an this that my your its their his her any some last first each")
"""Before an English verb, these make it a noun: the order, a call."""

BEFORE_VERB = _set(
    "to will must should shall i we me us please need can and or then now so would might "
    "let must finally"
)
ADVERBS = _set(
    "now then finally just next first also simply directly immediately again only safely "
    "still really actually"
)
BEFORE_GERUND = _set("by am is start begin starts starting for continue")
DOERS = _set("this that it which button icon arrow tap")
"""Subjects that act when touched: this sends it."""

PLACES = _set(
    # en
    "history page pages tab tabs list lists log logs screen screens section details status "
    "confirmation number numbers settings setting methods method menu summary record records "
    "info information folder is was are were has have had center centre folder options "
    # de, fr, es, pt: what follows a noun there
    "seite liste verlauf"
)
"""After a verb, these turn both words into a noun: order history."""

PRESSABLE = _set(
    "button buttons icon icons key link option arrow knopf schaltflache symbol taste bouton "
    "icone boton icono botao"
)

PRESSED = _set("button key arrow knopf bouton boton botao")
"""Pressed for their effect: "the button to pay". An icon may only open an app."""

CALLED = _set(
    "labelled labeled saying says called named text reading option item entry menu dialog "
    "popup bar mit aufschrift marque etiqueta llamado chamado opcion opcao"
)
"""Between a touch and a name in quotation marks."""

UNSPECIFIC = _set(
    "i ich je yo eu nun jetzt will ll the a an it its this that here on at in of by with "
    "button icon arrow key slider switch one bottom top left right lower upper middle "
    "center centre side corner screen up down big large small round green blue red orange "
    "yellow white black grey gray highlighted above below next continue ok yes confirm "
    "proceed done first second auf den die das dem der knopf schaltflache unten oben rechts "
    "links grune grunen blaue blauen weiter jetzt ja sur le la les bouton vert bleu en bas "
    "haut droite gauche el boton verde azul abajo arriba derecha izquierda em no na o a "
    "botao de do da"
)
"""Words that say nothing about what is touched."""

UNSPACED = ("zh", "ja", "ko")
NOT_CJK = _row("不 别 別 未 没 沒 勿 无需 无须 已 是否 如何 怎么 怎样 避免 禁止 之前 而不")
GOAL_CJK = _row("用户 任务 目标 要求 ユーザー タスク 사용자 작업")
"""Before a word: not, not yet, already, or a retelling of the goal."""

AFTER_CJK = _row(
    # zh: pages and the past
    "宝 页 页面 方式 记录 历史 界面 列表 详情 状态 成功 选项卡 标签 设置 功能 失败 过 了 前 吗 "
    "按钮但 "
    # ja: negations, the past, pages
    "しない せず しません さない さず され 済み 済 した しました 履歴 画面 一覧 方法 ページ 設定 "
    "ボタンがあ ボタンが表示 わない わず "
    # ko: negations, the past, pages
    "지않 지말 지마 하지않 하지말 하지마 되었 됐 되어 했 된 내역 화면 목록 페이지 방법 수단 설정 "
    "버튼이보 버튼이있"
)
"""Right after a word: not, done, or a page of that name."""

TOUCH_CJK = _row(
    "点击 点按 点选 按下 轻触 选择 单击 長押し タップ 押 クリック 選択 탭 누르 누릅 눌러 누른 "
    "클릭 선택 "
)
VAGUE_CJK = _row("按钮 图标 按鈕 ボタン アイコン 버튼 아이콘 继续 确定 确认 下一步")
"""Names of a touched control that do not say what it does."""
SEEING_CJK = _row("弹出 广告 有 看到 显示 出现 表示 あり ある 있 표시 보이 보입")
"""A clause with one of these and without a touch describes the screen."""
WHERE_CJK = _row(
    "我 现在 然后 接着 请 需要 一下 它 此 右下角 左下角 右上角 左上角 底部 顶部 下方 上方 右侧 "
    "左侧 下面 中间 屏幕 绿色 蓝色 红色 橙色 黄色 这个 该 "
    "它 的 ます します する して 次 右下 左下 右上 左上 画面 青い 緑 赤い オレンジ 下部 上部 "
    "その この の を に 下 上 右 左 大きな 합니다 니다 다 "
    "후 화면 하단 상단 오른쪽 왼쪽 아래 위 파란색 초록색 노란색 이 그 의 에 있는 을 를 버튼"
)
"""Words for where something is or how it looks, but not for what it is."""

OPENS = _set(
    "open opens opening close closing scroll scrolling launch return offne offnen schliesse "
    "schliessen scrolle gehe ouvre ouvrir ferme fermer reviens abro abrir cierro cerrar "
    "vuelvo fecho fechar volto sigo continuo"
)
"""Other things that a thought may announce as its next action."""
OPENS_CJK = _row(
    "打开 返回 查看 滑动 跳过 開い 開く 開き 戻 スクロール 見ます 확인합 엽 열 돌아 스크롤 봅니다"
)
PURPOSE = _set("to for so um zum zur damit pour afin para")
"""Between what is touched and its purpose."""
SLIDE_CJK = _row("滑动 滑 拖动 スライド スワイプ 밀어 슬라이드")
PURPOSE_CJK = _row("ため 위해 려고 来 以便")

AGREEING = _set(
    "ok okay yes confirm continue agree accept proceed submit apply done approve finish ja "
    "bestatigen fortfahren akzeptieren zustimmen annehmen fertig absenden oui confirmer "
    "continuer accepter valider terminer si aceptar confirmar continuar sim aceitar "
    "concluir 确定 确认 是 同意 继续 提交 完成 下一步确认 好 好的 はい 確認 確定 同意する 同意 "
    "続行 続ける 完了 예 네 확인 동의 계속 완료 "
    "계속하기"
)
TAILS = _set(
    "now and et y e the all everyone everything me todo todos todas tout tous alles alle "
    "tudo updates per month year week monat jahr mois mes free trial for with using for of "
    "by jetzt und mit maintenant avec ahora con agora com eur usd gbp chf jpy krw cny rmb "
    "brl r euro euros dollar dollars 元 円 원 paypal google apple samsung card visa mastercard "
    "amazon klarna alipay wechat upi pix data photo photos item items message messages file "
    "files chat conversation everything selected this it permanently forever app bestatigen "
    "confirmar confirmer button schaltflache taste bouton boton botao 按 钮 ボ タ ン 버 튼"
)
"""Words on a button that do not change its meaning: Pay now, Pay with PayPal, Pay 12 EUR."""
